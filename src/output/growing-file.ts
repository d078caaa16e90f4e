/** An append-only file that knows how long it is, so that a checkpoint can name the place to go on from. */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";

export class GrowingFile {
  readonly path: string;
  readonly #descriptor: number;
  #bytes: number;

  /**
   * @param resumeAt bytes to keep of an existing file; 0 starts it anew
   * @throws Error when the file is shorter than that
   */
  constructor(path: string, resumeAt = 0) {
    this.path = path;
    this.#descriptor = openSync(path, resumeAt > 0 ? "r+" : "w");
    this.#bytes = resumeAt;
    const { size } = fstatSync(this.#descriptor);
    if (size < resumeAt) {
      closeSync(this.#descriptor);
      throw new Error(`${path}: has ${size} bytes, its checkpoint says ${resumeAt}; start the run anew`);
    }
    ftruncateSync(this.#descriptor, resumeAt);
  }

  append(content: Uint8Array): void {
    let written = 0;
    while (written < content.length) {
      written += writeSync(this.#descriptor, content, written, content.length - written, this.#bytes + written);
    }
    this.#bytes += content.length;
  }

  bytes(): number {
    return this.#bytes;
  }

  /** Returns once the bytes are on the disk. */
  flush(): void {
    fsyncSync(this.#descriptor);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
