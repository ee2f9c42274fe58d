/**
 * The contract every remote keeps, as one suite that every driver runs, always through the gate.
 *
 * The remote is opened once for all cases, since opening one may mean booting an appliance. Guests
 * may hold no more than a POSIX shell and busybox. A remote that cannot write is given the contract
 * tree by whoever makes its image (`writeContractTree`); all others are given it by the suite.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Remote } from '../remotes/remote.ts'
import { describeCommands } from './_contract-commands.ts'
import { describeEnd } from './_contract-end.ts'
import { describeReading, describeWriting } from './_contract-files.ts'
import { contractTree, fillContractTree } from './contract-tree.ts'
import { failsWith } from './fails-with.ts'

/** A remote to try, and what its opener knows of it. The suite closes it. */
export interface RemoteUnderTest {
  /** Through the gate: `openRemote(driver, context)`. */
  remote: Remote
  /** A directory of the guest that the suite may make, fill and remove. */
  base: string
  /** Directories of the guest that must hold after all cases what they held before. */
  untouched?: readonly string[]
  /** Finishing ends it: after that it can only be closed, so nothing here interrupts or cuts it. */
  finishEnds?: true
  /** Aborts the signal of the context the remote was opened with. */
  interrupt?: () => void
  /** Cuts the connection as an accident would. Called last; nothing but closing works after it. */
  cut?: () => Promise<void> | void
}

/** What the remote is made for. What it is not made for, it must refuse with REMOTE_CANNOT. */
export interface RemoteAbilities {
  writable: boolean
  runs: boolean
}

/** What the cases share: filled when the remote is open. */
export interface Subject extends RemoteUnderTest {
  /** A path below `base`. */
  at: (name: string) => string
}

/** Where a remote that cannot write finds the contract tree, unless its opener says otherwise. */
export const CONTRACT_BASE = '/var/lib/remote-contract'

/** Declares the suite for one kind of remote. `open` is called once. */
export function testRemoteContract(
  name: string,
  open: () => Promise<RemoteUnderTest>,
  abilities: RemoteAbilities,
): void {
  describe(`${name} keeps the remote contract`, { timeout: 540_000 }, () => {
    const subject = {} as Subject
    const earlier = new Map<string, string[] | undefined>()

    before(async () => {
      process.env['INGOT_CONTRACT_LEAK'] = 'the environment of this process'
      Object.assign(subject, await open())
      subject.at = (path) => `${subject.base}/${path}`
      for (const directory of subject.untouched ?? [])
        earlier.set(directory, await subject.remote.list(directory))
      if (abilities.writable) await fillContractTree(subject.remote, subject.base)
    })

    after(async () => {
      delete process.env['INGOT_CONTRACT_LEAK']
      await subject.remote?.[Symbol.asyncDispose]()
    })

    it('says what it can do', () => {
      assert.equal(subject.remote.can.run, abilities.runs)
      assert.equal(subject.remote.can.write, abilities.writable)
      assert.notEqual(subject.remote.name, '')
    })

    it('tells what the guest says of itself, and reads it once', async () => {
      const facts = await subject.remote.facts()
      assert.match(facts.distro, /^[a-z0-9._-]+$/)
      assert.equal(await subject.remote.facts(), facts)
    })

    describeReading(subject)
    if (abilities.writable) describeWriting(subject)
    else
      it('refuses to write, and nothing changes', async () => {
        const { remote, at } = subject
        await assert.rejects(remote.writeFile(at('plain'), 'changed'), failsWith('REMOTE_CANNOT'))
        await assert.rejects(remote.makeDirectory(at('made')), failsWith('REMOTE_CANNOT'))
        await assert.rejects(remote.makeLink(at('made'), 'plain'), failsWith('REMOTE_CANNOT'))
        await assert.rejects(
          remote.setAttributes(at('plain'), { mode: 0o600 }),
          failsWith('REMOTE_CANNOT'),
        )
        await assert.rejects(remote.remove(at('plain')), failsWith('REMOTE_CANNOT'))
        assert.equal(await remote.readText(at('plain')), 'plain text\n')
        assert.equal(await remote.exists(at('made')), false)
      })
    if (abilities.runs) describeCommands(subject)
    else
      it('refuses commands', async () => {
        await assert.rejects(subject.remote.run({ argv: ['true'] }), failsWith('REMOTE_CANNOT'))
      })

    if (abilities.writable)
      it('leaves nothing over: no temporary files, here or elsewhere', async () => {
        const { remote, base } = subject
        const names = contractTree(base)
          .map((entry) => entry.name)
          .filter((entry) => !entry.includes('/'))
        assert.deepEqual(await remote.list(base), names.sort())
        await remote.remove(base)
        assert.equal(await remote.exists(base), false)
        for (const [directory, before] of earlier)
          assert.deepEqual(await remote.list(directory), before, directory)
      })

    describeEnd(subject, abilities)
  })
}
