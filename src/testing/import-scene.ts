/** What tests of imports share: a disk, benches to import it on, and what comes of an import. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { MiB } from '../base/units.ts'
import type { ImportRequest } from '../imports/imports.ts'
import {
  type BenchOptions,
  ImportBench,
  type ImportServer,
  importOf,
  outcomeOf,
} from './import-bench.ts'
import { tempDir } from './temp-dir.ts'

export const DISK = Buffer.alloc(3 * MiB)
DISK.fill('guest', MiB, MiB + 70_000)
export const sha512 = (bytes: Uint8Array) => createHash('sha512').update(bytes).digest('hex')

/** Opens benches for the tests of one file. Called at its top. */
export async function importBenches(): Promise<(options?: BenchOptions) => Promise<ImportBench>> {
  const inTemp = await tempDir()
  let opened = 0
  return async (options = {}) =>
    await ImportBench.open(inTemp(`catalog-${(opened += 1)}.db`), inTemp('.'), options)
}

/** Imports, and has it done; what the image and the task are then. */
export async function importInto(
  one: ImportServer,
  imageId: string,
  request: Partial<ImportRequest>,
) {
  const before = await one.catalog.get(imageId)
  assert.ok(before)
  const begun = await one.imports.begin(before, importOf(request))
  const during = await one.catalog.get(imageId)
  await one.drain()
  const image = await one.catalog.get(imageId)
  assert.ok(image && during)
  return { image, during, task: await outcomeOf(one, begun) }
}

export function assertUnlocked({ properties }: { properties: Readonly<Record<string, string>> }) {
  assert.equal(properties['os_glance_import_task'], undefined)
  assert.equal(properties['os_glance_importing_to_stores'], '')
}
