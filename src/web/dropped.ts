/** Files that a reader drops on the page or chooses: each with its path below what was dropped. */
import { Refused } from "./refused.ts";

export interface DroppedFile {
  /** "/" between its parts; a file that was dropped by itself has its name alone. */
  readonly path: string;
  readonly file: File;
}

/** More are a folder dropped by mistake. */
const MOST_FILES = 2000;

/** Everything that was dropped, folders walked through. @throws Refused if that is too much */
export async function droppedFiles(transfer: DataTransfer): Promise<DroppedFile[]> {
  // All must be asked for before the first wait: the transfer is empty afterwards.
  const dropped = Array.from(transfer.items, (item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const found: DroppedFile[] = [];
  for (const each of dropped) {
    if (each instanceof File) found.push({ path: each.name, file: each });
    else if (each !== null) await walk(each, "", found);
  }
  return found;
}

/** What a file input holds, of files or of a folder. */
export const chosenFiles = (list: FileList): DroppedFile[] =>
  Array.from(list, (file) => ({ path: file.webkitRelativePath || file.name, file }));

async function walk(entry: FileSystemEntry, below: string, found: DroppedFile[]): Promise<void> {
  if (found.length >= MOST_FILES)
    throw new Refused({ en: `more than ${MOST_FILES} files`, zh: `超过 ${MOST_FILES} 个文件` });
  const path = `${below}${entry.name}`;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push({ path, file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A reader gives a hundred entries at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const each of some) await walk(each, `${path}/`, found);
  }
}
