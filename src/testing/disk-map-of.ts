import { type DiskMap, DiskMapBuilder, UNIT } from '../formats/disk-map.ts'

/** The map of a disk of `size` bytes, of which these units hold data; in order. */
export function mapOf(size: number, units: Iterable<number>): DiskMap {
  const builder = new DiskMapBuilder()
  for (const unit of units) builder.add(unit)
  return builder.toMap(size)
}

/** Every `step`th unit of a disk of `size` bytes, from its first on. */
export function* everyUnit(step: number, size: number): Generator<number> {
  for (let unit = 0; unit < Math.ceil(size / UNIT); unit += step) yield unit
}
