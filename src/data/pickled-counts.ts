/**
 * Python pickles of counters, one a layer: `[Counter({expert: assignments, …}), …]`, as OLMoE's scripts dump them.
 * Nothing in the file is carried out: of Python's classes only counters, dictionaries and numpy's numbers are known.
 * Source: allenai/OLMoE, scripts/run_routing_analysis.py.
 */
import { Parser } from "pickleparser";
import { counted, dataError } from "./matrix.ts";
import { parseNumber } from "./npy.ts";
import { assumedExperts, type RecordedLoads, type RecordedSizes } from "./recording.ts";

const EXPECTED = "counters of experts, one a layer";

/** @throws DataError where it holds anything else */
export function loadsFromPickle(name: string, bytes: Uint8Array, sizes: RecordedSizes): RecordedLoads {
  const found = unpickled(name, bytes);
  const layers = Array.isArray(found) ? (found as unknown[]) : [found];
  const counters = layers.map((layer, i) => {
    if (layer instanceof Map) return counterOf(name, layer, i, sizes);
    throw dataError(
      name,
      `layer ${i} of the pickle is no counter; expected ${EXPECTED}: else save one array with numpy.save`,
    );
  });
  if (counters.length === 0) throw dataError(name, `the pickle is empty; expected ${EXPECTED}`);
  const highest = Math.max(...counters.flatMap((counter) => [...counter.keys()]));
  const experts = sizes.experts ?? highest + 1;
  return {
    kind: "loads",
    experts,
    names: counters.map((_, layer) => `entry ${layer}`),
    loads: counters.map((counter) => Float64Array.from({ length: experts }, (_, expert) => counter.get(expert) ?? 0)),
    notes: [
      `${counted(counters.length, "counter")}, by their order in the file`,
      ...(sizes.experts === undefined ? [assumedExperts(experts)] : []),
    ],
  };
}

function counterOf(name: string, counter: Map<unknown, unknown>, layer: number, sizes: RecordedSizes) {
  const most = sizes.experts ?? 1 << 20;
  for (const [expert, count] of counter) {
    if (Array.isArray(expert)) {
      throw dataError(name, `counter ${layer} counts ${expert.length} experts together; expected ${EXPECTED}`);
    }
    if (!Number.isInteger(expert) || (expert as number) < 0 || (expert as number) >= most) {
      throw dataError(name, `counter ${layer} counts ${JSON.stringify(expert)}, not one of experts 0 … ${most - 1}`);
    }
    if (!((count as number) >= 0 && (count as number) < Number.POSITIVE_INFINITY)) {
      throw dataError(
        name,
        `counter ${layer} has a count of ${String(count).slice(0, 30)}; expected a number, 0 or more`,
      );
    }
  }
  if (counter.size === 0) throw dataError(name, `counter ${layer} is empty; expected ${EXPECTED}`);
  return counter as Map<number, number>;
}

function unpickled(name: string, bytes: Uint8Array): unknown {
  try {
    return new Parser({ nameResolver: { resolve }, unpicklingTypeOfDictionary: "Map" }).parse(bytes);
  } catch (error) {
    throw dataError(
      name,
      `is a Python pickle that cannot be read (${(error as Error).message}); save an array of it with numpy.save`,
    );
  }
}

/** numpy's type of a number, as its pickle spells it: "i8" and, set later, the order of bytes. */
interface NumberType {
  readonly kind: string;
  isLittle: boolean;
  __setstate__(state: readonly unknown[]): void;
}

const known: Readonly<Record<string, (...args: never[]) => unknown>> = {
  "collections.Counter": (entries: Map<unknown, unknown> = new Map()) => entries,
  "collections.OrderedDict": () => new Map(),
  "collections.defaultdict": () => new Map(),
  "builtins.int": () => 0,
  "_codecs.encode": (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0)), // bytes of protocol 2
  "numpy.dtype": (kind: string): NumberType => ({
    kind,
    isLittle: true,
    __setstate__(state) {
      this.isLittle = state[1] !== ">";
    },
  }),
  "numpy.core.multiarray.scalar": ({ kind, isLittle }: NumberType, bytes: Uint8Array) =>
    parseNumber(kind, isLittle, bytes),
};

function resolve(module: string, name: string): (...args: never[]) => unknown {
  const found = known[`${module.replace("numpy._core", "numpy.core")}.${name}`];
  if (found === undefined) throw new Error(`it holds a ${module}.${name}`);
  return found;
}
