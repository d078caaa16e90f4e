/** Widths of text in the packaged font, read from its file: the same on every machine, canvas or not. Kerning is left out. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** The fonts of the figures, as files. */
export const fontFiles = {
  normal: require.resolve("dejavu-fonts-ttf/ttf/DejaVuSans.ttf"),
  bold: require.resolve("dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf"),
} as const;

type Advance = (codePoint: number) => number;

const advances = new Map<string, Advance>();

/** Width of one line of text in CSS pixels. */
export function textWidth(text: string, fontSize: number, weight: keyof typeof fontFiles = "normal"): number {
  const advance = advances.get(weight) ?? advanceOf(readFileSync(fontFiles[weight]));
  advances.set(weight, advance);
  let width = 0;
  for (const letter of text) width += advance(letter.codePointAt(0)!);
  return width * fontSize;
}

/** Advance of each character in em, after the OpenType specification 1.9: tables head, hhea, hmtx and cmap of format 4. */
function advanceOf(font: Buffer): Advance {
  const unitsPerEm = font.readUInt16BE(table(font, "head") + 18);
  const metrics = font.readUInt16BE(table(font, "hhea") + 34);
  const widths = table(font, "hmtx");
  const glyphOf = characterMap(font);
  return (codePoint) => font.readUInt16BE(widths + 4 * Math.min(glyphOf(codePoint), metrics - 1)) / unitsPerEm;
}

function table(font: Buffer, tag: string): number {
  const count = font.readUInt16BE(4);
  for (let at = 12; at < 12 + 16 * count; at += 16) {
    if (font.toString("latin1", at, at + 4) === tag) return font.readUInt32BE(at + 8);
  }
  throw new Error(`the font has no table ${tag}`);
}

/** Code point → glyph, 0 for one that the font does not have. */
function characterMap(font: Buffer): (codePoint: number) => number {
  const map = table(font, "cmap");
  const count = font.readUInt16BE(map + 2);
  const subtables = Array.from({ length: count }, (_, i) => map + font.readUInt32BE(map + 4 + 8 * i + 4));
  const at = subtables.find((start) => font.readUInt16BE(start) === 4);
  if (at === undefined) throw new Error("the font has no character map of format 4");
  const segments = font.readUInt16BE(at + 6) / 2;
  const [ends, starts] = [at + 14, at + 16 + 2 * segments];
  const [deltas, offsets] = [starts + 2 * segments, starts + 4 * segments];
  return (codePoint) => {
    for (let i = 0; i < segments; i++) {
      if (codePoint > font.readUInt16BE(ends + 2 * i)) continue;
      const start = font.readUInt16BE(starts + 2 * i);
      if (codePoint < start) return 0;
      const offset = font.readUInt16BE(offsets + 2 * i);
      const delta = font.readUInt16BE(deltas + 2 * i);
      if (offset === 0) return (codePoint + delta) & 0xffff;
      const glyph = font.readUInt16BE(offsets + 2 * i + offset + 2 * (codePoint - start));
      return glyph === 0 ? 0 : (glyph + delta) & 0xffff;
    }
    return 0;
  };
}
