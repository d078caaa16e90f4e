/** Native controls for knobs, by the knob's name: what the table says is what they show. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import type { Menu, Slider, Text, Value } from "../knobs/knob.ts";
import { type KnobName, knobNamed } from "../knobs/knobs.ts";
import { say } from "../language.ts";
import type { Phrase } from "../phrase.ts";
import { isWide } from "../screen.ts";
import { isHidden, knobValue, turn } from "../state.ts";

interface Shown<K> {
  readonly id: string;
  readonly knob: K;
  readonly value: Value;
  set(value: Value): void;
}

export interface ControlGroup {
  readonly title: Phrase;
  readonly names: readonly KnobName[];
}

/** The column of controls of a scene; folded away on narrow screens, and beside the tour, which has its own. */
export function Controls({
  groups,
  children,
}: {
  readonly groups: readonly ControlGroup[];
  /** Further fieldsets: what is no knob. */
  readonly children?: ComponentChildren;
}) {
  if (isHidden("controls")) return null;
  const form = (
    <form class="controls" onSubmit={(event) => event.preventDefault()}>
      {groups.map(({ title, names }) => (
        <fieldset key={title.en}>
          <legend>{say(title)}</legend>
          {names.map((name) => (
            <Control key={name} name={name} />
          ))}
        </fieldset>
      ))}
      {children}
    </form>
  );
  if (isWide.value && knobValue("chapter") === 0) return form;
  return (
    <details class="all-controls">
      <summary>{say(allControls)}</summary>
      {form}
    </details>
  );
}

const allControls: Phrase = { en: "All controls", zh: "全部控件" };

/** The control of a knob, unless a lecturer hid it. */
export function Control({ name }: { readonly name: KnobName }) {
  const id = useId();
  if (isHidden(name)) return null;
  const knob = knobNamed(name);
  const value = knobValue(name);
  const set = (changed: Value) => turn({ [name]: changed });
  const shown = { id, value, set };
  return (
    <div class={`control ${knob.kind}`} title={say(knob.help)}>
      <label for={id}>{say(knob.label)}</label>
      {knob.kind === "slider" ? <SliderControl {...shown} knob={knob} /> : null}
      {knob.kind === "menu" ? <MenuControl {...shown} knob={knob} /> : null}
      {knob.kind === "text" ? <TextControl {...shown} knob={knob} /> : null}
    </div>
  );
}

/** A slider runs over its stops, so that each is as far from the next; a value of a link may lie between two. */
function SliderControl({ id, knob, value, set }: Shown<Slider>) {
  const { stops } = knob;
  const show = (number: number) => (knob.show ?? String)(number);
  const above = stops.findIndex((stop) => stop >= (value as number));
  return (
    <>
      <output for={id}>{show(value as number)}</output>
      <input
        id={id}
        type="range"
        min={0}
        max={stops.length - 1}
        value={above}
        aria-valuetext={show(value as number)}
        onInput={(event) => set(stops[Number(event.currentTarget.value)]!)}
      />
    </>
  );
}

function MenuControl({ id, knob, value, set }: Shown<Menu>) {
  return (
    <select id={id} value={value} onChange={(event) => set(event.currentTarget.value)}>
      {Object.entries(knob.options).map(([name, phrase]) => (
        <option key={name} value={name}>
          {say(phrase)}
        </option>
      ))}
    </select>
  );
}

function TextControl({ id, knob, value, set }: Shown<Text>) {
  return (
    <input
      id={id}
      type="text"
      maxLength={knob.longest}
      value={value}
      onInput={(event) => set(event.currentTarget.value)}
    />
  );
}
