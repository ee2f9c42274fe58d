import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MiB } from '../base/units.ts'
import { openProgress } from './_progress.ts'

/** A terminal that shows one line: what stands there once something has happened. */
function watch() {
  let nowMs = 0
  let line = ''
  const view = openProgress({
    json: false,
    terminal: true,
    quiet: false,
    write: (text) => (line = text),
    columns: () => 200,
    nowMs: () => nowMs,
  })
  const show = (afterMs: number, name: string, done: number, total?: number) => {
    nowMs += afterMs
    view.show({ kind: 'bytes', name, done, ...(total !== undefined && { total }) })
    return line
  }
  return show
}

describe('progress on a terminal', () => {
  it('tells the rate and the time left once there is a pace', () => {
    const show = watch()
    assert.doesNotMatch(show(0, 'write', 0, 100 * MiB), /\/s/)
    assert.doesNotMatch(show(500, 'write', 5 * MiB, 100 * MiB), /\/s/)
    assert.match(show(500, 'write', 10 * MiB, 100 * MiB), /\(10 %\) {2}10\.0 MiB\/s, 9\.0s left/)
    assert.match(show(500, 'write', 50 * MiB, 100 * MiB), / █{10}─{10} 50\.0 MiB of 100 MiB /)
  })

  it('begins anew with other bytes, and foretells nothing of what has no end', () => {
    const show = watch()
    show(0, 'import', 0)
    assert.match(show(2000, 'import', 10 * MiB), /5\.0 MiB\/s$/)
    assert.doesNotMatch(show(0, 'write', 0, 10 * MiB), /\/s/)
  })
})

describe('progress for programs', () => {
  it('is ten lines a second at most about bytes, and always the last one', () => {
    let nowMs = 0
    const lines: string[] = []
    const write = (text: string) => lines.push(text)
    const view = openProgress({
      json: true,
      terminal: false,
      quiet: false,
      write,
      columns: () => 80,
      nowMs: () => nowMs,
    })
    for (let done = 0; done <= 1000; done++, nowMs += 1)
      view.show({ kind: 'bytes', name: 'write', done, total: 1000 })
    assert.equal(lines.length, 11)
    assert.match(lines.at(-1) ?? '', /"done":1000/)
  })
})
