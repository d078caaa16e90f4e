/** The reader's own text: files dropped on the page or chosen, held to the same rules as those of the command line. */
import type { DroppedFile } from "../dropped.ts";
import type { Phrase } from "../phrase.ts";
import { Refused } from "../refused.ts";

export interface OwnText {
  /** Of the domain. */
  readonly name: string;
  /** Of the file or folder, for the command line. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** In hexadecimal; absent where the browser does not work it out. */
  readonly sha256?: string;
}

/** Reading is quick and training looks at little of it; a folder dropped by mistake is not read. */
const LARGEST_BYTES = 16e6;

/**
 * A domain for each file, and one for each folder: its files one after the other, by order of their paths, without hidden
 * and binary ones, as `moge run` reads it.
 * @param least bytes that training needs
 * @throws Refused
 */
export async function readOwnTexts(files: readonly DroppedFile[], least: number): Promise<OwnText[]> {
  const parts = new Map<string, DroppedFile[]>();
  for (const file of files) {
    const top = file.path.split("/")[0]!;
    parts.set(top, [...(parts.get(top) ?? []), file]);
  }
  return Promise.all([...parts].map(([name, all]) => readOwnText(name, all, least)));
}

async function readOwnText(name: string, files: readonly DroppedFile[], least: number): Promise<OwnText> {
  const size = files.reduce((sum, { file }) => sum + file.size, 0);
  if (size > LARGEST_BYTES) throw new Refused(tooLarge(name, size));
  const isFolder = files[0]!.path !== name;
  const isHidden = ({ path }: DroppedFile) =>
    isFolder &&
    path
      .split("/")
      .slice(1)
      .some((part) => part.startsWith("."));
  const read = files.filter((file) => !isHidden(file)).sort((a, b) => (a.path < b.path ? -1 : 1));
  const contents = await Promise.all(read.map(async ({ file }) => new Uint8Array(await file.arrayBuffer())));
  const texts = contents.filter((bytes) => !bytes.includes(0));
  const bytes = new Uint8Array(texts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const text of texts) {
    bytes.set(text, at);
    at += text.length;
  }
  if (texts.length === 0) throw new Refused(binary(name));
  if (bytes.length < least) throw new Refused(tooShort(name, bytes.length, least));
  const sha256 = await sha256Of(bytes);
  return { name, path: name, bytes, ...(sha256 !== undefined && { sha256 }) };
}

/** Browsers keep this to pages that they hold for safe. */
async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string | undefined> {
  if (!isSecureContext) return undefined;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

const tooLarge = (name: string, size: number): Phrase => ({
  en: `${name} has ${megabytes(size)} MB; the page takes up to ${LARGEST_BYTES / 1e6}. The command line takes any size: data.domains in a config.`,
  zh: `${name} 有 ${megabytes(size)} MB；本页最多接收 ${LARGEST_BYTES / 1e6} MB。命令行不限大小：见配置中的 data.domains。`,
});

const binary = (name: string): Phrase => ({
  en: `${name} holds no text (binary and hidden files do not count). Drop a text file, or a folder of them.`,
  zh: `${name} 中没有文本（二进制文件和隐藏文件不算）。请拖入文本文件或其文件夹。`,
});

const tooShort = (name: string, bytes: number, least: number): Phrase => ({
  en: `${name} has ${bytes} ${bytes === 1 ? "byte" : "bytes"}; training and validation need ${least} at least. Nothing has changed.`,
  zh: `${name} 只有 ${bytes} 字节；训练和验证至少需要 ${least} 字节。原有内容不变。`,
});
