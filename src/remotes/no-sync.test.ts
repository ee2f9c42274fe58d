import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { findProgram, runProcess } from '../base/process.ts'
import { makeNoSyncFilter, makeNoSyncLauncher } from './no-sync.ts'
import { findUserNamespace, whyNoUserNamespace } from './user-namespace.ts'

/** Carries out a filter as the kernel does. Source: networking/filter.rst of the kernel's documentation. */
function runFilter(filter: Uint8Array, platform: number, call: number): number {
  const program = Buffer.from(filter)
  const data = [call, platform]
  let accumulator = 0
  for (let at = 0; ; at++) {
    const operand = program.readUInt32LE(at * 8 + 4)
    const operation = program.readUInt16LE(at * 8)
    if (operation === 0x06) return operand
    if (operation === 0x20) accumulator = data[operand / 4] ?? 0
    else at += program.readUInt8(at * 8 + (accumulator === operand ? 2 : 3))
  }
}

const isRoot = process.geteuid?.() === 0
const missing =
  findProgram('bwrap') === undefined
    ? 'needs bubblewrap'
    : isRoot
      ? undefined
      : await whyNoUserNamespace()

describe('work without syncing', () => {
  it('answers syncs of its own platform and lets all else through', () => {
    const filter = makeNoSyncFilter('x64')!
    for (const sync of [74, 75, 162, 306, 277, 26])
      assert.equal(runFilter(filter, 0xc000003e, sync), 0x00050000)
    for (const other of [0, 1, 73, 76, 161, 163, 435])
      assert.equal(runFilter(filter, 0xc000003e, other), 0x7fff0000)
    assert.equal(runFilter(filter, 0x40000003, 74), 0x7fff0000, 'a 32-bit program')
    assert.equal(makeNoSyncFilter('mips'), undefined)
  })

  it(
    'runs a command under the filter, with its arguments as they are',
    { skip: missing ?? false },
    async () => {
      const scratch = await mkdtemp(join(tmpdir(), 'no-sync-'))
      try {
        const launcher = [...(await findUserNamespace()), ...(await makeNoSyncLauncher(scratch))]
        const script = 'sync; grep Seccomp: /proc/self/status; printf "%s|" "$@"; mknod node c 1 3'
        const result = await runProcess([...launcher, 'sh', '-c', script, 'sh', 'a b', '$(x)'], {
          cwd: scratch,
        })
        assert.match(result.stdout.toString(), /^Seccomp:\t2\na b\|\$\(x\)\|$/)
        assert.match(result.stderr.toString(), /mknod: .*not permitted/)
      } finally {
        await rm(scratch, { recursive: true })
      }
    },
  )
})
