/**
 * Deployments that another program wrote, layer by layer: vllm-ascend's expert_map.json, the physical_to_logical_map
 * of SGLang, vLLM and EPLB as JSON, and Omni-Placement's .npy, [devices, layers, experts] of 0 and 1.
 */
import type { Deployment } from "../placement/deployment.ts";
import { isJson, textOf } from "./file-kind.ts";
import { type JsonDocument, jsonMatrix, parseJsonDocument } from "./json-document.ts";
import { counted, dataError } from "./matrix.ts";
import { isNpy, parseNpy } from "./npy.ts";

export interface DeploymentSizes {
  /** N */
  readonly experts: number;
  /** D, for a file that numbers slots without saying whose they are. */
  readonly devices: number;
}

const EXPECTED = "a deployment: expert_map.json, a physical_to_logical_map as JSON, or .npy [devices, layers, experts]";

/** @param name of the file, for messages @returns one a layer @throws DataError */
export function parseDeployments(name: string, bytes: Uint8Array, sizes: DeploymentSizes): Deployment[] {
  if (isNpy(bytes)) return fromFlags(name, bytes, sizes);
  const text = textOf(name, bytes, EXPECTED);
  if (!isJson(text)) throw dataError(name, `is not JSON; expected ${EXPECTED}`);
  const document = parseJsonDocument(name, text);
  const { value } = document;
  if (isObject(value) && "layer_list" in value) return fromExpertMap(document, value["layer_list"], sizes);
  if (isObject(value) && "physical_to_logical_map" in value) {
    return fromSlots(document, value["physical_to_logical_map"], sizes);
  }
  throw dataError(document.place([]), `has neither "layer_list" nor "physical_to_logical_map"; expected ${EXPECTED}`);
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function fromFlags(name: string, bytes: Uint8Array, { experts, devices }: DeploymentSizes): Deployment[] {
  const { shape, values } = parseNpy(name, bytes);
  const [ranks, layers] = shape as [number, number, number];
  if (shape.length !== 3) throw dataError(name, `has the shape [${shape.join(", ")}]; expected ${EXPECTED}`);
  if (shape[2] !== experts) throw dataError(name, `is of ${shape[2]} experts, the loads are of ${experts}`);
  if (ranks !== devices) throw dataError(name, `is of ${ranks} devices; say --devices ${ranks}`);
  const other = values.findIndex((value) => value !== 0 && value !== 1);
  if (other !== -1) throw dataError(name, `holds ${values[other]}; expected 0 and 1, whether a device has an expert`);
  return Array.from({ length: layers }, (_, layer) => ({
    experts,
    held: Array.from({ length: ranks }, (_, rank) => {
      const first = (rank * layers + layer) * experts;
      return Int32Array.from(Array(experts).keys()).filter((expert) => values[first + expert] === 1);
    }),
  }));
}

function fromExpertMap(document: JsonDocument, found: unknown, { experts, devices }: DeploymentSizes): Deployment[] {
  const path = ["layer_list"];
  if (!Array.isArray(found) || found.length === 0) throw dataError(document.place(path), "expected a list of layers");
  return found.map((layer: unknown, i) => {
    const inLayer = [...path, i, "device_list"];
    const list = isObject(layer) ? layer["device_list"] : undefined;
    if (!Array.isArray(list)) throw dataError(document.place([...path, i]), 'has no list "device_list"');
    if (list.length !== devices) {
      const is = `is of ${counted(list.length, "device")}`;
      throw dataError(document.place(inLayer), `${is}; say --devices ${list.length}`);
    }
    const held = list.map((device: unknown, d) => {
      const own = isObject(device) ? device["device_expert"] : undefined;
      if (!Array.isArray(own)) throw dataError(document.place([...inLayer, d]), 'has no list "device_expert"');
      const at = (slot: number) => document.place([...inLayer, d, "device_expert", slot]);
      return Int32Array.from(own as unknown[], (expert, slot) => checked(expert, experts, () => at(slot)));
    });
    return { experts, held };
  });
}

function fromSlots(document: JsonDocument, found: unknown, { experts, devices }: DeploymentSizes): Deployment[] {
  const path = ["physical_to_logical_map"];
  const map = jsonMatrix(document, path, found, "layer");
  if (map.columns % devices !== 0) {
    throw dataError(document.place(path), `${devices} devices do not divide ${map.columns} slots; say --devices`);
  }
  const slots = map.columns / devices;
  return Array.from({ length: map.rows }, (_, layer) => ({
    experts,
    held: Array.from({ length: devices }, (_, device) =>
      Int32Array.from({ length: slots }, (_, i) => {
        const slot = device * slots + i;
        return checked(map.values[layer * map.columns + slot], experts, () => map.place(layer, slot));
      }),
    ),
  }));
}

function checked(expert: unknown, experts: number, place: () => string): number {
  if (Number.isInteger(expert) && (expert as number) >= 0 && (expert as number) < experts) return expert as number;
  throw dataError(place(), `expert ${JSON.stringify(expert)} is not one of 0 … ${experts - 1}`);
}
