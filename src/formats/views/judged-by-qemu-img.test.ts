/** qemu-img reads what the views give: every format, at every odd size. */
import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { runTool } from '../../base/process.ts'
import { GiB, KiB, MiB, SECTOR } from '../../base/units.ts'
import { everyUnit, mapOf } from '../../testing/disk-map-of.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { numberedDisk, writeContent } from '../../testing/view-bytes.ts'
import type { DiskMap } from '../disk-map.ts'
import { makeView } from '../views.ts'

const at = await tempDir()
const qemuImg = async (...argv: string[]) => String(await runTool(['qemu-img', ...argv]))

const DISKS: Readonly<Record<string, DiskMap>> = {
  'one sector': mapOf(SECTOR, [0]),
  'one unit and a sector, which holds all data': mapOf(64 * KiB + SECTOR, [1]),
  'a MiB less a sector, full': mapOf(MiB - SECTOR, everyUnit(1, MiB)),
  'no data at all': mapOf(10 * MiB, []),
  'one unit of data': mapOf(4 * MiB, [37]),
  'scattered, with a short last unit': mapOf(33 * MiB + SECTOR, everyUnit(3, 33 * MiB + SECTOR)),
  'full, and a block of each format long': mapOf(2 * MiB, everyUnit(1, 2 * MiB)),
  'large and nearly empty': mapOf(5 * GiB + 3 * SECTOR, [
    0,
    5,
    6,
    8191,
    8192,
    40_000,
    65_535, // here VHDX has an entry between those of blocks
    65_536,
    5 * 16_384,
  ]),
}

interface Part {
  readonly offset: number
  readonly size: number
}

/** Of a large disk what stands around data, as qemu-img reads the holes of VHDX; else all, size and all. */
function partsOf(map: DiskMap): (Part | undefined)[] {
  if (map.size < GiB) return [undefined]
  return [...map.extents()].map(({ offset }) => {
    const start = Math.max(offset - 2 * MiB, 0)
    return { offset: start, size: Math.min(4 * MiB, map.size - start) }
  })
}

/** A part of the guest's disk in a file, or all of it, as qemu-img wants it said. */
function partOf(driver: string, path: string, part: Part | undefined): string {
  if (part === undefined) return `driver=${driver},file.driver=file,file.filename=${path}`
  const { offset, size } = part
  return `driver=raw,offset=${offset},size=${size},file.driver=${driver},file.file.driver=file,file.file.filename=${path}`
}

/** What qemu-img calls each format, and whether it has a check for it. */
const JUDGED = {
  qcow2: { driver: 'qcow2', checks: true },
  vhd: { driver: 'vpc', checks: false },
  'vhd-fixed': { driver: 'vpc', checks: false },
  vhdx: { driver: 'vhdx', checks: true },
  vdi: { driver: 'vdi', checks: true },
  vmdk: { driver: 'vmdk', checks: true },
} as const

for (const [index, [disk, map]] of Object.entries(DISKS).entries())
  describe(`a disk: ${disk}`, async () => {
    const origins = { disk: numberedDisk(map) }
    const input = { map, identity: disk }
    const raw = await writeContent(at(`${index}.raw`), makeView('raw', input), origins)

    for (const [format, { driver, checks }] of Object.entries(JUDGED))
      it(`is the same as ${format}`, async () => {
        const view = makeView(format, input)
        const path = await writeContent(at(`${index}.${format}`), view, origins)
        assert.equal((await stat(path)).size, view.length)

        const info = await qemuImg('info', '-f', driver, '--output=json', path)
        const size = format === 'vhd-fixed' ? Math.ceil(map.size / MiB) * MiB : map.size
        assert.equal(JSON.parse(info)['virtual-size'], size)
        if (checks)
          assert.match(await qemuImg('check', '-f', driver, path), /^No errors were found/m)
        for (const part of partsOf(map)) {
          const both = [partOf('raw', raw, part), partOf(driver, path, part)]
          assert.match(await qemuImg('compare', '--image-opts', ...both), /^Images are identical/m)
        }
      })
  })
