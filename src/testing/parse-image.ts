/** What tests ask of parsers of disk formats. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import * as fc from 'fast-check'
import { KiB } from '../base/units.ts'
import { memorySource } from '../bytes/source.ts'
import { parseSource } from '../formats/_parse-source.ts'
import type { FindingCode } from '../formats/finding.ts'
import type { DiskParser, Extent } from '../formats/parser.ts'
import { damaged } from './mutations.ts'

/** What a parser says of an image in memory, with the extents in the order they came. */
export async function parseBytes(parser: DiskParser, bytes: Uint8Array) {
  const extents: Extent[] = []
  const parsed = await parseSource(parser, memorySource(bytes), {
    onExtent: (extent) => extents.push(extent),
  })
  return { ...parsed, extents }
}

/** Asserts that an image is refused, for this reason among others, at this byte. */
export async function assertRefused(
  parser: DiskParser,
  bytes: Uint8Array,
  code: FindingCode,
  at?: number,
): Promise<void> {
  const { findings, safe } = await parseBytes(parser, bytes)
  const reasons = findings.filter(({ severity }) => severity === 'refuse')
  const found = reasons.some(
    (finding) => finding.code === code && [finding.at, undefined].includes(at),
  )
  assert.ok(found && !safe, `wanted ${code} at ${at}, found ${JSON.stringify(findings)}`)
}

/**
 * For images that are refused, which tests make of a good one: a case for each, whose finding is of
 * this code and points to this byte. `seal` makes the check sums of a changed image right again.
 */
export function refusals(
  parser: DiskParser,
  good: Promise<Uint8Array>,
  seal: (image: Buffer) => void = () => {},
) {
  const changed = async (changes: readonly (readonly [offset: number, hex: string])[]) => {
    const bytes = Buffer.from(await good)
    for (const [offset, hex] of changes) bytes.write(hex, offset, 'hex')
    seal(bytes)
    return bytes
  }
  const refused = (
    title: string,
    code: FindingCode,
    at: number | undefined,
    make: () => Promise<Uint8Array>,
  ): void => {
    it(title, async () => assertRefused(parser, await make(), code, at))
  }
  return {
    changed,
    /** An image that is made in some other way. */
    refused,
    /** One change, and the finding points to where it was made unless said otherwise. */
    broken: (title: string, code: FindingCode, offset: number, hex: string, at = offset) =>
      refused(title, code, at, () => changed([[offset, hex]])),
  }
}

/**
 * Damages an image at random, most of it within `ranges`, and asserts that the parser comes to an end,
 * asks for no byte twice, announces nothing senseless, and says why when it refuses.
 */
export async function assertBounded(
  parser: DiskParser,
  bytes: Uint8Array,
  ranges: readonly (readonly [start: number, end: number])[],
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(damaged(bytes, ranges), async (copy) => {
      let asked = 0
      const file = memorySource(copy)
      const counted = {
        ...file,
        read: async (offset: number, length: number) => {
          asked += length
          return await file.read(offset, length)
        },
      }
      const { disk, safe, findings } = await parseSource(parser, counted, {
        onExtent: ({ host, length, guest }) => assert.ok(host >= 0 && length > 0 && guest >= 0),
      })
      assert.ok(asked <= copy.length + 128 * KiB, `asked for ${asked} bytes`)
      assert.ok(disk !== undefined || !safe)
      assert.equal(
        safe,
        findings.every(({ severity }) => severity !== 'refuse'),
      )
    }),
    { numRuns: 300 },
  )
}
