/** Finds and resolves a config, on disk or in the package. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ConfigLayers, ConfigSource, ResolvedConfig } from "../config/resolve.ts";
import { packageDirectory } from "./package-directory.ts";

/**
 * @param name a file, or the name of a config that comes with the package
 * @throws ConfigError
 */
export async function readConfig(name: string, sets: readonly string[]): Promise<ResolvedConfig> {
  const { resolveConfig } = await import("../config/resolve.ts"); // the help does without
  return resolveConfig(configSource(name, sets));
}

/** The same, not yet resolved. @throws ConfigError */
export async function readConfigLayers(name: string, sets: readonly string[]): Promise<ConfigLayers> {
  const { configLayers } = await import("../config/resolve.ts");
  return configLayers(configSource(name, sets));
}

/** Where a config and what it names are read from. */
export const configSource = (name: string, sets: readonly string[]): ConfigSource => ({
  path: existsSync(name) ? name : (packagedConfig(name) ?? name),
  sets,
  read: configText,
  besides: (file, relative) => join(dirname(file), relative),
});

const packagedConfigs = () => join(packageDirectory(), "configs");

function packagedConfig(name: string): string | undefined {
  if (!/^[\w.-]+$/.test(name)) return undefined;
  const path = join(packagedConfigs(), name.endsWith(".yaml") ? name : `${name}.yaml`);
  return existsSync(path) ? path : undefined;
}

/** @throws Error with one line that says why not */
export function configText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT") throw new Error(`cannot be read (${code ?? message}); give the path of a YAML file`);
    const packaged = readdirSync(packagedConfigs()).filter((file) => file.endsWith(".yaml"));
    const names = packaged.map((file) => file.slice(0, -".yaml".length)).join(", ");
    throw new Error(`there is no such file; give the path of a config, or one of the names ${names}`);
  }
}
