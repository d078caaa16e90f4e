import { readFileSync } from "node:fs";
import { expect } from "chai";

interface Entry {
  readonly resolved?: string;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
  packages: Readonly<Record<string, Entry>>;
};

describe("the lock file", () => {
  it("records no download addresses", () => {
    expect(Object.entries(packages).filter(([, { resolved }]) => resolved?.includes("://"))).to.deep.equal([]);
  });

  it("holds the optional packages of every platform, without which npm ci refuses elsewhere", () => {
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
      ),
    );
    expect(missing).to.deep.equal([]);
  });

  it("has no required package with an install script but esbuild's check of itself", () => {
    const scripted = Object.entries(packages).filter(([, entry]) => entry.hasInstallScript && !entry.optional);
    expect(scripted.map(([path]) => path)).to.deep.equal(["node_modules/esbuild"]);
  });
});
