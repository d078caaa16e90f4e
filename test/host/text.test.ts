import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "chai";
import { DataError } from "../../src/data/source.ts";
import { type PackagedText, type TextDomain, type TextDomainName, textDomains } from "../../src/data/text-domains.ts";
import { readDomain, readPackagedText } from "../../src/host/text.ts";

const decoded = (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);
const table = Object.entries(textDomains) as [keyof typeof textDomains, TextDomain][];
const repositoryFile = (name: string) => readFileSync(join(import.meta.dirname, "../..", name), "utf8");

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "moge-text-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(files: Record<string, string | Uint8Array>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

describe("built-in domains", () => {
  for (const [name, entry] of table) {
    it(`${name}: reads whole characters, mostly ${entry.scripts.join(", ")}`, () => {
      const { bytes } = readDomain(name, folder);
      expect(bytes.length).to.be.within(130_000, 400_000);
      const text = decoded(bytes);
      const letters = text.match(/[\p{L}\p{Nd}]/gu)!.length;
      const script = new RegExp(`[${entry.scripts.map((one) => `\\p{Script=${one}}`).join("")}]`, "gu");
      const own = text.match(/[\p{L}\p{Nd}]/gu)!.filter((letter) => letter.match(script)).length;
      expect(own / letters).to.be.above(0.6);
    });
  }

  it("hold what their titles say", () => {
    const beginnings = {
      "moby-dick": /^CHAPTER 1\. Loomings\.\n\nCall me Ishmael\./,
      speeches: /^Mr\. Speaker, Mr\. Vice President, Members of the Congress/,
      german: /^ALLE COMPILEROPTIONEN\n/,
      french: /^TOUTES LES OPTIONS DU COMPILATEUR\n/,
      russian: /^ВСЕ ПАРАМЕТРЫ КОМПИЛЯТОРОВ\n/,
      japanese: /^すべてのコンパイラ オプション\n/,
      chinese: /^所有编译器选项\n/,
      code: /^import \* as checks from "\.\/checks\.js";\n/,
      pronunciations: /^'bout B AW1 T\nabbett AH0 B EH1 T\n/,
      arithmetic: /^\d+[-+*]\d+=-?\d+\n/,
    } satisfies Record<keyof typeof textDomains, RegExp>;
    for (const name of Object.keys(textDomains) as TextDomainName[])
      expect(decoded(readDomain(name, folder).bytes)).to.match(beginnings[name]);
  });

  it("are cut to the bytes asked for, down to a whole character", () => {
    const whole = readDomain("russian", folder).bytes;
    const cut = (bytes: number) => readDomain({ name: "russian", bytes }, folder);
    expect(cut(1000).name).to.equal("russian");
    const lengths = [1000, 1001, 1002].map((bytes) => cut(bytes).bytes.length);
    expect(lengths.every((length, i) => length <= 1000 + i && length > 1000 + i - 4)).to.equal(true);
    for (const bytes of [1000, 1001, 1002, 1e6]) {
      const beginning = cut(bytes).bytes;
      expect(decoded(whole).startsWith(decoded(beginning))).to.equal(true); // `decoded` refuses half a character
      if (bytes > whole.length) expect(beginning).to.deep.equal(whole);
    }
  });

  it("come from exact-version dependencies, and NOTICE names each", () => {
    const { dependencies } = JSON.parse(repositoryFile("package.json")) as { dependencies: Record<string, string> };
    const notice = repositoryFile("NOTICE");
    for (const [name, entry] of table) {
      expect(notice).to.match(new RegExp(`\\b${name}\\b`));
      if ("generate" in entry) continue;
      expect(dependencies[entry.package], entry.package).to.equal(entry.version);
      expect(notice).to.include(`${entry.package} ${entry.version}\n`);
    }
  });
});

describe("readPackagedText", () => {
  const entry: PackagedText = {
    ...textDomains.russian,
    files: ["lib/b.txt", "lib/a.txt"],
    sha256: sha256("second first"),
    decode: (text) => text.toUpperCase(),
  };

  it("reads the files in their order and decodes them", () => {
    write({ "lib/a.txt": " first", "lib/b.txt": "second" });
    expect(decoded(readPackagedText("russian", entry, folder))).to.equal("SECOND FIRST");
  });

  it("cuts long text after a whole character", () => {
    write({ "lib/a.txt": " first", "lib/b.txt": "second" });
    const long = (text: string) => readPackagedText("russian", { ...entry, decode: () => text }, folder);
    expect(decoded(long(`a${"é".repeat(200_000)}`))).to.equal(`a${"é".repeat(199_999)}`);
    expect(decoded(long("é".repeat(200_001)))).to.equal("é".repeat(200_000));
  });

  it("refuses text that is not the one expected", () => {
    write({ "lib/a.txt": " First", "lib/b.txt": "second" });
    const actual = sha256("second First");
    expect(() => readPackagedText("russian", entry, folder)).to.throw(
      DataError,
      new RegExp(`^domain russian: the files in .* are not those of typescript 6\\.0\\.3 .*${actual}.*run npm ci$`),
    );
  });

  it("says which file is missing", () => {
    write({ "lib/b.txt": "second" });
    expect(() => readPackagedText("russian", entry, folder)).to.throw(
      DataError,
      /^domain russian: .*a\.txt is missing; run npm ci$/,
    );
  });
});

describe("a user's own text", () => {
  const read = (path: string) => readDomain({ name: "mine", path }, folder);

  it("is a file, from the base directory, byte for byte", () => {
    const bytes = Uint8Array.of(0xff, 0x0d, 0x0a, 0xef, 0xbb, 0xbf, 65); // nothing is decoded
    write({ "texts/one.txt": bytes });
    const own = read("texts/one.txt");
    expect(own.name).to.equal("mine");
    expect([...own.bytes]).to.deep.equal([...bytes]);
    expect(readDomain({ name: "mine", path: join(folder, "texts/one.txt") }, "elsewhere").bytes).to.deep.equal(
      own.bytes,
    );
  });

  it("is a folder: all text below it by code units of the paths, without hidden and binary files", () => {
    write({
      "texts/b/2.txt": "[b/2]",
      "texts/b.txt": "[b.txt]",
      "texts/B.txt": "[B.txt]",
      "texts/é.txt": "[é]",
      "texts/b/10.txt": "[b/10]",
      "texts/b/c/deep.md": "[deep]",
      "texts/empty.txt": "",
      "texts/.hidden": "[hidden]",
      "texts/.git/config": "[git]",
      "texts/picture.bin": Uint8Array.of(65, 0, 66),
      "elsewhere.txt": "[linked]",
    });
    symlinkSync(join(folder, "elsewhere.txt"), join(folder, "texts/link.txt"));
    expect(decoded(read("texts").bytes)).to.equal("[B.txt][b.txt][b/10][b/2][deep][é]");
  });

  it("is held to its sha256, and cut, if the config says so", () => {
    write({ "one.txt": "naïve" });
    const own = (bytes: number | undefined, text: string) => () =>
      readDomain({ name: "mine", path: "one.txt", bytes, sha256: sha256(text) }, folder).bytes;
    expect(decoded(own(undefined, "naïve")())).to.equal("naïve");
    expect(decoded(own(3, "na")())).to.equal("na"); // ï takes two bytes
    expect(own(undefined, "naive")).to.throw(
      DataError,
      new RegExp(`^domain mine: .*one\\.txt is another text .*sha256 ${sha256("naïve")}, expected ${sha256("naive")}`),
    );
  });

  it("is refused in one line when there is nothing to read", () => {
    write({ "empty.txt": "", "nothing/.hidden": "text", "nothing/zeros": new Uint8Array(9), zeros: new Uint8Array(9) });
    const refused = {
      "gone.txt": "is missing",
      "empty.txt/below": "is missing",
      "empty.txt": "is empty",
      nothing: "holds no text",
      zeros: "is empty or binary",
    };
    for (const [path, reason] of Object.entries(refused)) {
      expect(() => read(path)).to.throw(DataError, new RegExp(`^domain mine: \\S+/${path} ${reason}.*$`));
    }
    expect(() => read("/dev/null")).to.throw(DataError, /neither a file nor a folder/);
  });
});
