/** A word or figure that opens: its formula with the numbers of the moment in it. Escape or a click elsewhere closes it. */
import type { ComponentChildren } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import type { Description } from "./glossary.ts";
import { say } from "./language.ts";

interface PopoverProps {
  /** What is pressed. */
  readonly children: ComponentChildren;
  /** For those who do not see the place it is in; absent: the text itself says it. */
  readonly label?: string;
  /** Made when it opens. */
  readonly content: () => ComponentChildren;
  /** In letters' heights; narrower where the window is. */
  readonly width?: number;
}

export function Popover({ children, label, content, width = 24 }: PopoverProps) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const [isOpen, open] = useState(false);
  const onToggle = (event: ToggleEvent & { currentTarget: HTMLElement }) => {
    const isOpening = event.newState === "open";
    if (isOpening) place(event.currentTarget, button.current!, width);
    open(isOpening);
  };
  return (
    <>
      <button type="button" class="opens" ref={button} popovertarget={id} aria-label={label}>
        {children}
      </button>
      <div id={id} popover="auto" class="popover" onBeforeToggle={onToggle as never}>
        {isOpen ? content() : null}
      </div>
    </>
  );
}

/** Below the button and inside the window. */
function place(popover: HTMLElement, button: HTMLElement, letters: number): void {
  const { left, bottom } = button.getBoundingClientRect();
  const width = Math.min(
    letters * Number.parseFloat(getComputedStyle(document.documentElement).fontSize),
    innerWidth - 24,
  );
  popover.style.width = `${width}px`;
  popover.style.left = `${Math.max(12, Math.min(left, innerWidth - width - 12)) + scrollX}px`;
  popover.style.top = `${bottom + 6 + scrollY}px`;
}

interface FormulaProps {
  readonly title: string;
  readonly formula: string;
  /** The formula again, with the numbers of the moment, a line each. */
  readonly numbers: readonly string[];
  readonly source?: string;
}

/** What a popover says of a figure of the tables. */
export function Described({ title, formula, source, numbers }: Description & { readonly numbers: string }) {
  return <Formula title={say(title)} formula={say(formula)} source={say(source)} numbers={[numbers]} />;
}

/** What a popover says. */
export function Formula({ title, formula, numbers, source }: FormulaProps) {
  return (
    <>
      <p class="formula-title">{title}</p>
      <p class="formula">{formula}</p>
      <Numbers lines={numbers} />
      {source === undefined ? null : <p class="note">{source}</p>}
    </>
  );
}

/** A formula with its numbers, line by line. */
export function Numbers({ lines }: { readonly lines: readonly string[] }) {
  return (
    <>
      {lines.map((line) => (
        <p class="formula numbers" key={line}>
          {line}
        </p>
      ))}
    </>
  );
}
