/** From the load of experts to the load of the devices that hold them. */

/**
 * @param expertLoad [N] assignments per expert
 * @param deviceOf [N] from a placement
 * @returns [D] assignments per device
 */
export function deviceLoad(expertLoad: ArrayLike<number>, deviceOf: Int32Array, devices: number): Float64Array {
  const load = new Float64Array(devices);
  for (let expert = 0; expert < deviceOf.length; expert++) {
    const device = deviceOf[expert]!;
    load[device] = load[device]! + expertLoad[expert]!;
  }
  return load;
}
