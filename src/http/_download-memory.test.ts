import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { KiB, MiB } from '../base/units.ts'
import { DownloadMemory, LARGEST_BUFFER } from './_download-memory.ts'

const take = (memory: DownloadMemory, count: number) =>
  Array.from({ length: count }, () => memory.take())
const sum = (shares: readonly { readonly buffer: number }[]) =>
  shares.reduce((total, { buffer }) => total + 4 * buffer, 0)

describe('the memory of downloads', () => {
  it('is plenty for a few', () => {
    assert.ok(take(new DownloadMemory(), 30).every(({ buffer }) => buffer === LARGEST_BUFFER))
  })

  it('is bounded for thousands of them, each of which gets some', () => {
    const shares = take(new DownloadMemory(), 10_000)
    assert.ok(sum(shares) < 900 * MiB, `${sum(shares)}`)
    assert.ok(shares.every(({ buffer }) => buffer >= 16 * KiB))
  })

  it('is given back', () => {
    const memory = new DownloadMemory()
    for (const share of take(memory, 5000)) share[Symbol.dispose]()
    assert.equal(memory.take().buffer, LARGEST_BUFFER)
  })
})
