import { expect } from "chai";
import { parseDeployments } from "../../src/data/deployment-file.ts";
import { DataError } from "../../src/data/source.ts";
import { npyBytes } from "./npy-bytes.ts";

const bytes = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const sizes = { experts: 3, devices: 2 };
const heldIn = (file: Uint8Array) =>
  parseDeployments("file", file, sizes).map(({ held }) => held.map((own) => Array.from(own)));
const expertMap = (...devices: unknown[]) => ({
  moe_layer_count: 1,
  layer_list: [{ layer_id: 0, device_count: 2, device_list: devices }],
});

describe("deployments of other programs", () => {
  it("are read from expert_map.json, in the order of the slots", () => {
    const map = expertMap({ device_id: 0, device_expert: [2, 0] }, { device_id: 1, device_expert: [1, 2] });
    expect(heldIn(bytes(map))).to.deep.equal([
      [
        [2, 0],
        [1, 2],
      ],
    ]);
  });

  it("are read from a physical_to_logical_map, the slots cut among the devices", () => {
    const map = {
      physical_to_logical_map: [
        [0, 1, 2, 0],
        [2, 2, 1, 0],
      ],
    };
    expect(heldIn(bytes(map))).to.deep.equal([
      [
        [0, 1],
        [2, 0],
      ],
      [
        [2, 2],
        [1, 0],
      ],
    ]);
  });

  it("are read from .npy flags [devices, layers, experts], devices with unequal slots included", () => {
    const flags = [1, 0, 1, /**/ 0, 1, 0, /* device 1 */ 0, 1, 0, /**/ 1, 0, 1];
    expect(heldIn(npyBytes("<i4", [2, 2, 3], flags))).to.deep.equal([
      [[0, 2], [1]],
      [[1], [0, 2]],
    ]);
  });

  const wrong: [what: string, file: Uint8Array, message: RegExp][] = [
    ["flags of two dimensions", npyBytes("<i4", [2, 3], [1, 1, 1, 0, 0, 0]), /shape \[2, 3\]; expected a deployment/],
    ["other experts", npyBytes("<i4", [2, 1, 2], [1, 1, 1, 0]), /is of 2 experts, the loads are of 3/],
    ["other devices", npyBytes("<i4", [1, 1, 3], [1, 1, 1]), /is of 1 devices; say --devices 1/],
    ["flags that are counts", npyBytes("<i4", [2, 1, 3], [1, 2, 1, 0, 0, 0]), /holds 2; expected 0 and 1/],
    ["text", bytes("hello"), /is not JSON/],
    ["an object of another kind", bytes({ a: 1 }), /neither "layer_list" nor "physical_to_logical_map"/],
    ["an empty list", bytes({ layer_list: [] }), /expected a list of layers/],
    ["a layer without devices", bytes({ layer_list: [{}] }), /has no list "device_list"/],
    ["one device of two", bytes(expertMap({ device_expert: [0] })), /is of 1 device; say --devices 1/],
    ["a device without experts", bytes(expertMap({}, {})), /has no list "device_expert"/],
    [
      "an expert beyond the last",
      bytes(expertMap({ device_expert: [3] }, {})),
      /file:1:\d+: expert 3 is not one of 0 … 2/,
    ],
    ["slots that do not divide", bytes({ physical_to_logical_map: [[0, 1, 2]] }), /2 devices do not divide 3 slots/],
    ["half an expert", bytes({ physical_to_logical_map: [[0, 1.5]] }), /expert 1.5 is not one of/],
  ];
  for (const [what, file, message] of wrong) {
    it(`refuse ${what}, saying where`, () => {
      expect(() => parseDeployments("file", file, sizes)).to.throw(DataError, message);
    });
  }
});
