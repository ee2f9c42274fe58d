import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { open, readFile, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { MiB } from '../base/units.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { loadFileCalls } from './file-calls.ts'
import { PartCopier } from './part-copier.ts'

const at = await tempDir()
const SIZE = 6 * MiB
const content = randomBytes(SIZE)
await writeFile(at('from'), content)
const kernel = await loadFileCalls()
const { signal } = new AbortController()

/** Copies parts with a copier, and waits for the end. */
async function copyParts(
  parts: readonly [source: number, target: number, length: number][],
  tools: ConstructorParameters<typeof PartCopier>[2],
): Promise<Buffer> {
  await using from = await open(at('from'))
  await using to = await open(at('to'), 'w')
  await to.truncate(SIZE)
  const named = (file: typeof from, name: string) => ({ descriptor: file.fd, name })
  const copier = new PartCopier(named(from, 'from'), named(to, 'to'), tools)
  try {
    for (const part of parts) await copier.copy(...part)
    await copier.end()
  } finally {
    await copier.settle()
  }
  return await readFile(at('to'))
}

for (const [way, calls] of [
  ['by the kernel', kernel],
  ['through this process', undefined],
] as const)
  describe(`copying parts ${way}`, () => {
    it('puts each where it belongs, whatever its length and place', async () => {
      const length = fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: SIZE }))
      const part = fc.tuple(fc.nat(SIZE), fc.nat(SIZE), length).map(([source, target, wanted]) => {
        const most = SIZE - Math.max(source, target)
        return [source, target, Math.min(wanted, most)] as [number, number, number]
      })
      await fc.assert(
        fc.asyncProperty(fc.array(part, { maxLength: 1 }), part, async ([first], second) => {
          const parts = first && !overlap(first, second) ? [first, second] : [second]
          const expected = Buffer.alloc(SIZE)
          for (const [source, target, count] of parts)
            content.copy(expected, target, source, source + count)
          assert.ok(expected.equals(await copyParts(parts, { calls, signal })))
        }),
        { numRuns: 30 },
      )
    })

    it('fails when the file ends before a part of it does', async () => {
      for (const length of [1000, 2 * MiB])
        await assert.rejects(
          copyParts([[SIZE - 500, 0, length]], { calls, signal }),
          failsWith('IMAGE_TRUNCATED'),
        )
    })

    it('stops when it is told to', async () => {
      const whole = [[0, 0, SIZE] as [number, number, number]]
      const stopped = { calls, signal: AbortSignal.abort() }
      await assert.rejects(copyParts(whole, stopped), failsWith('INTERRUPTED'))
    })
  })

function overlap([, first, length]: number[], [, second, other]: number[]): boolean {
  return (first ?? 0) < (second ?? 0) + (other ?? 0) && (second ?? 0) < (first ?? 0) + (length ?? 0)
}
