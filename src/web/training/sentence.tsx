/** Which experts each byte of the reader's sentence goes to, in both models. */
import { useEffect, useId, useState } from "preact/hooks";
import { Bytes } from "../charts/bytes.tsx";
import { Control } from "../controls/controls.tsx";
import { say } from "../language.ts";
import type { Phrase } from "../phrase.ts";
import { values } from "../state.ts";
import { modelTitle } from "./models.ts";
import { follow, type Progress, type Session } from "./session.ts";

const words = {
  title: { en: "The experts of each byte", zh: "每个字节的专家" },
  device: { en: "device", zh: "设备" },
  byte: { en: "Byte", zh: "字节" },
  experts: { en: "experts with their weights", zh: "专家及其权重" },
  touches: { en: "devices touched", zh: "涉及的设备数" },
  expert: { en: "expert", zh: "专家" },
  character: { en: "character", zh: "字符" },
  empty: { en: "Write something to see where it goes.", zh: "写点什么，看看它去哪里。" },
} satisfies Record<string, Phrase>;

/** What a byte is part of: its character at its first byte, a dot at those that go on. */
function lettersOf(bytes: Uint8Array): string[] {
  const letters: string[] = [];
  for (const character of new TextDecoder().decode(bytes)) {
    const length = new TextEncoder().encode(character).length;
    letters.push(character === " " ? "␣" : character, ...new Array<string>(length - 1).fill("·"));
  }
  return letters.slice(0, bytes.length);
}

export function Sentence({ session, layer }: { readonly session: Session; readonly layer: number }) {
  const { sentence } = values.value;
  useEffect(() => follow(new TextEncoder().encode(sentence)), [sentence, session.settings]);
  const [looked, look] = useState(0);
  const letters = lettersOf(session.sentence);
  const chosen = Math.min(looked, Math.max(0, letters.length - 1));
  const id = useId();
  return (
    <>
      <div class="sentence">
        <Control name="sentence" />
        <div class="control slider">
          <label for={id}>{say(words.byte)}</label>
          <output for={id}>{`${chosen + 1} “${letters[chosen] ?? ""}”`}</output>
          <input
            id={id}
            type="range"
            min={0}
            max={Math.max(0, letters.length - 1)}
            value={chosen}
            aria-valuetext={`${chosen + 1} ${letters[chosen] ?? ""}`}
            onInput={(event) => look(Number(event.currentTarget.value))}
          />
        </div>
      </div>
      {letters.length === 0 ? <p class="note">{say(words.empty)}</p> : null}
      <div class="side-by-side wide">
        {session.models.map((model) => (
          <BytesOf key={model.arm.name} model={model} layer={layer} letters={letters} chosen={chosen} look={look} />
        ))}
      </div>
    </>
  );
}

interface BytesOfProps {
  readonly model: Progress;
  readonly layer: number;
  readonly letters: readonly string[];
  readonly chosen: number;
  look(byte: number): void;
}

function BytesOf({ model: { arm, routed }, layer, letters, chosen, look }: BytesOfProps) {
  const own = routed?.[layer];
  if (own === undefined || letters.length === 0) return null;
  const { experts } = arm.config.model;
  const { devices } = arm.config.cluster;
  const of = (byte: number) => expertsOf(own, byte);
  const deviceOf = (expert: number) => Math.floor((expert * devices) / experts);
  const touched = new Set(of(chosen).map(({ expert }) => deviceOf(expert))).size;
  const list = of(chosen)
    .map(({ expert, weight }) => `${expert} (${(100 * weight).toFixed(0)} %)`)
    .join(", ");
  return (
    <div class="column">
      <h3 class={arm.name}>{modelTitle(arm.name)}</h3>
      <Bytes
        name={`bytes-${arm.name}`}
        title={words.title}
        description={`“${letters[chosen]}”: ${list}`}
        table={() => ({
          columns: [say(words.byte), say(words.character), say(words.experts), say(words.touches)],
          rows: letters.map((letter, byte) => [
            byte + 1,
            letter,
            of(byte)
              .map(({ expert, weight }) => `${expert} (${(100 * weight).toFixed(0)} %)`)
              .join(", "),
            new Set(of(byte).map(({ expert }) => deviceOf(expert))).size,
          ]),
        })}
        letters={letters}
        routed={own}
        experts={experts}
        devices={devices}
        series={arm.name}
        chosen={chosen}
        choose={look}
        deviceTitle={say(words.device)}
        note={`“${letters[chosen]}” → ${say(words.expert)} ${list}; ${say(words.touches)}: ${touched} / ${devices}`}
      />
    </div>
  );
}

/** Of a byte, the one that counts most first. */
function expertsOf({ slots, experts, weights }: NonNullable<Progress["routed"]>[number], byte: number) {
  return Array.from({ length: slots }, (_, j) => ({
    expert: experts[byte * slots + j]!,
    weight: weights[byte * slots + j]!,
  }))
    .filter(({ expert }) => expert >= 0)
    .sort((a, b) => b.weight - a.weight);
}
