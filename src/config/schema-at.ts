/** The schema of a single knob of a config, by its dotted key: for forms that show one knob at a time. */
import type * as z from "zod/mini";
import { runSchema } from "./schema.ts";

/** What a schema is wrapped in: a default, or that it may be missing. */
function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  const { innerType } = schema._zod.def as { innerType?: z.core.$ZodType };
  return innerType === undefined ? schema : unwrapped(innerType);
}

/** With its default, if it has one. @throws Error if there is no such key */
export function schemaAt(key: string): z.ZodMiniType {
  const found = key.split(".").reduce<z.core.$ZodType | undefined>((at, name) => {
    const { shape } = (at === undefined ? {} : unwrapped(at)._zod.def) as { shape?: Record<string, z.core.$ZodType> };
    return shape?.[name];
  }, runSchema);
  if (found === undefined) throw new Error(`the config has no key ${key}`);
  return found as z.ZodMiniType;
}
