/** A place to drop files and folders on; by keyboard the same files are chosen from a dialogue. */
import { useId, useState } from "preact/hooks";
import { chosenFiles, type DroppedFile, droppedFiles } from "./dropped.ts";
import { say } from "./language.ts";
import { tell } from "./messages.ts";
import type { Phrase } from "./phrase.ts";
import { phraseOf } from "./refused.ts";

interface DropZoneProps {
  readonly invitation: Phrase;
  readonly choose: Phrase;
  /** Whether a folder can be chosen as well. */
  readonly folders: boolean;
  onFiles(files: readonly DroppedFile[]): void;
}

const chooseFolder: Phrase = { en: "a folder", zh: "文件夹" };
const unreadable = (reason: Phrase): Phrase => ({
  en: `What was dropped cannot be read: ${reason.en}. Nothing has changed.`,
  zh: `无法读取拖入的内容：${reason.zh}。原有内容不变。`,
});

export function DropZone({ invitation, choose, folders, onFiles }: DropZoneProps) {
  const [isOver, over] = useState(false);
  const drop = async (event: DragEvent) => {
    event.preventDefault();
    over(false);
    try {
      const files = await droppedFiles(event.dataTransfer!);
      if (files.length > 0) onFiles(files);
    } catch (error) {
      tell([unreadable(phraseOf(error))]);
    }
  };
  const chosen = (input: HTMLInputElement) => {
    const files = chosenFiles(input.files!);
    input.value = ""; // the same file can be chosen again
    if (files.length > 0) onFiles(files);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the inputs in it do the same by keyboard
    <div
      class={isOver ? "drop-zone over" : "drop-zone"}
      onDragOver={(event) => {
        event.preventDefault();
        over(true);
      }}
      onDragLeave={() => over(false)}
      onDrop={(event) => void drop(event)}
    >
      <span>{say(invitation)}</span> <Chooser label={say(choose)} onChoose={chosen} />
      {folders ? <Chooser label={say(chooseFolder)} folder onChoose={chosen} /> : null}
    </div>
  );
}

interface ChooserProps {
  readonly label: string;
  readonly folder?: boolean;
  onChoose(input: HTMLInputElement): void;
}

/** The browser's own file input, under a label of ours. */
function Chooser({ label, folder = false, onChoose }: ChooserProps) {
  const id = useId();
  return (
    <span class="chooser">
      <input
        id={id}
        type="file"
        multiple
        {...(folder && { webkitdirectory: true })}
        onChange={(event) => onChoose(event.currentTarget)}
      />
      <label for={id}>{label}</label>
    </span>
  );
}
