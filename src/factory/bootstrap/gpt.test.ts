import assert from 'node:assert/strict'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { findProgram, runProcess } from '../../base/process.ts'
import { MiB } from '../../base/units.ts'
import { memorySource } from '../../bytes/source.ts'
import { readPartitions } from '../../formats/partitions.ts'
import { ALIGNMENT, GPT_TAIL, type GptPartition, makeGpt, PARTITION_TYPES } from './gpt.ts'

const uuid = fc.uuid()

/** Partitions one behind the other, with any numbers, and a disk that holds them. */
const layout = fc
  .record({
    disk: uuid,
    spare: fc.nat(4096),
    parts: fc.uniqueArray(
      fc.record({
        number: fc.integer({ min: 1, max: 128 }),
        sectors: fc.integer({ min: 1, max: 4096 }),
        type: fc.constantFrom(...Object.values(PARTITION_TYPES)),
        uuid,
        label: fc.stringMatching(/^[A-Za-z0-9 äß-]{0,36}$/),
      }),
      { selector: ({ number }) => number, maxLength: 8 },
    ),
  })
  .map(({ disk, spare, parts }) => {
    let offset = ALIGNMENT
    const partitions = parts.map(({ sectors, ...part }): GptPartition => {
      const length = sectors * 512
      offset += length
      return { ...part, offset: offset - length, length }
    })
    return { disk, partitions, size: offset + spare * 512 + GPT_TAIL }
  })

function assemble(size: number, disk: string, partitions: readonly GptPartition[]): Uint8Array {
  const bytes = new Uint8Array(size)
  for (const piece of makeGpt(size, disk, partitions)) bytes.set(piece.bytes, piece.offset)
  return bytes
}

describe('a partition table', () => {
  it('is read back as it was made, from the start or from its backup', async () => {
    await fc.assert(
      fc.asyncProperty(layout, fc.boolean(), async ({ disk, partitions, size }, damaged) => {
        const bytes = assemble(size, disk, partitions)
        if (damaged) bytes.fill(0, 512, 1024)
        const table = await readPartitions(memorySource(bytes))
        assert.equal(table.kind, 'gpt')
        assert.equal(table.notes.length, damaged ? 1 : 0)
        assert.deepEqual(
          table.partitions,
          partitions.toSorted((a, b) => a.number - b.number),
        )
      }),
      { numRuns: 50 },
    )
  })

  const skip = findProgram('sgdisk') ? false : 'needs sgdisk (Debian: gdisk)'
  it('is without fault in the eyes of sgdisk', { skip }, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'gpt-'))
    try {
      const size = 64 * MiB
      const path = join(directory, 'disk.raw')
      await using file = await open(path, 'w')
      await file.truncate(size)
      const partition = { type: PARTITION_TYPES.rootX64, uuid: crypto.randomUUID(), label: 'root' }
      const partitions = [
        { ...partition, number: 1, offset: 2 * MiB, length: 61 * MiB },
        { ...partition, number: 14, offset: MiB, length: MiB, uuid: crypto.randomUUID() },
      ]
      for (const piece of makeGpt(size, crypto.randomUUID(), partitions))
        await file.write(piece.bytes, 0, piece.bytes.length, piece.offset)
      const verdict = await runProcess(['sgdisk', '--verify', path])
      assert.match(verdict.stdout.toString(), /No problems found/)
      assert.equal(verdict.stderr.toString(), '')
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})
