/** How a remote ends: interrupted, cut off, closed. These cases come last, in this order. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { isFailure } from '../base/failure.ts'
import { newMarker } from './_contract-commands.ts'
import { failsWith } from './fails-with.ts'
import { waitUntilGone } from './processes.ts'
import type { RemoteAbilities, Subject } from './remote-contract.ts'

export function describeEnd(subject: Subject, { runs }: RemoteAbilities): void {
  describe('ending', () => {
    const marker = newMarker()
    /** Runs until it is ended; what became of it, and a promise for its beginning. */
    const runForever = () => {
      const begun = Promise.withResolvers<void>()
      const ended = subject.remote
        .run({
          argv: ['sh', '-c', `sleep ${marker} & echo begun; sleep ${marker}`],
          onOutput: () => begun.resolve(),
        })
        .then(
          () => undefined,
          (error: unknown) => error,
        )
        .finally(begun.resolve)
      return { begun: begun.promise, ended }
    }

    it('finishes: what was written is on the disk', async () => {
      await subject.remote.finish()
    })

    if (runs)
      it('ends a running command when the connection is cut, and says so', async (t) => {
        if (!subject.cut || subject.interrupt || subject.finishEnds)
          return t.diagnostic('nothing to cut here, or interrupted instead')
        const { begun, ended } = runForever()
        await begun
        await subject.cut()
        const error = await ended
        assert.ok(isFailure(error, 'REMOTE_LOST'), String(error))
        await assert.rejects(subject.remote.run({ argv: ['true'] }), failsWith('REMOTE_LOST'))
      })

    if (runs)
      it('ends a running command when interrupted, and starts no other', async (t) => {
        if (!subject.interrupt || subject.finishEnds)
          return t.diagnostic('opened without a signal to interrupt it by, or finished already')
        const { begun, ended } = runForever()
        await begun
        subject.interrupt()
        const error = await ended
        assert.ok(isFailure(error, 'INTERRUPTED'), String(error))
        await assert.rejects(subject.remote.run({ argv: ['true'] }), failsWith('INTERRUPTED'))
      })

    it('closes, twice if asked, and does nothing afterwards', async () => {
      await subject.remote[Symbol.asyncDispose]()
      await subject.remote[Symbol.asyncDispose]()
      await assert.rejects(subject.remote.stat('/'), failsWith())
    })

    if (runs)
      it('leaves no process running that it was waiting for', async () => {
        for (const id of await sleepersOnThisHost(marker)) await waitUntilGone(id)
      })
  })
}

/** Processes of this host, in whatever namespace, that sleep for `marker` seconds. */
async function sleepersOnThisHost(marker: string): Promise<number[]> {
  const found: number[] = []
  for (const id of await readdir('/proc')) {
    if (!/^\d+$/.test(id)) continue
    const line = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')
    if (line === `sleep\0${marker}\0`) found.push(Number(id))
  }
  return found
}
