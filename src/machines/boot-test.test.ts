import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { makeContext } from '../base/context.ts'
import { MiB } from '../base/units.ts'
import { failsWith } from '../testing/fails-with.ts'
import { makeSerialGuest, type SerialGuestEnd } from '../testing/serial-guest.ts'
import type { BootReport } from './boot-report.ts'
import { type BootTestOptions, runBootTest } from './boot-test.ts'
import { findFirmware } from './firmware.ts'

const directory = await mkdtemp(join(tmpdir(), 'ingot-boot-test-'))
after(() => rm(directory, { recursive: true, force: true }))
const tempDir = join(directory, 'temp')
const timeout = 300_000

const LINUX = '[    0.0] Linux version 6.1.0\n'

/** Boots a guest that prints `text`, and gives it no time beyond that. */
async function boot(
  text: string,
  options: Partial<BootTestOptions> = {},
  end: SerialGuestEnd = 'halt',
): Promise<BootReport> {
  const image = join(await mkdtemp(join(directory, 'image-')), 'disk.raw')
  await writeFile(image, text === '' ? Buffer.alloc(MiB) : makeSerialGuest(text, end))
  const report = await runBootTest(
    {
      image,
      firmware: 'bios',
      accelerator: 'tcg',
      memory: 128 * MiB,
      timeoutMs: 120_000,
      pace: { quietMs: 3000, attemptMs: 1000, patienceMs: 0 },
      tempDir,
      ...options,
    },
    makeContext(),
  )
  assert.deepEqual(await readdir(tempDir), [], 'nothing is left behind')
  return report
}

test('a guest without cloud-init is judged by its login prompt', { timeout }, async () => {
  const report = await boot(`${LINUX}Welcome to Tiny Linux!\ntiny login: `)
  assert.deepEqual(
    report.checks.map(({ name, status }) => `${name} ${status}`),
    ['login-prompt passed', 'cloud-init unknown', 'ssh unknown'],
  )
  assert.ok(report.passed)
  assert.deepEqual(
    report.timeline.map(({ stage }) => stage),
    ['firmware', 'kernel', 'init', 'login'],
  )
  assert.equal(report.diagnosis, undefined)
})

test(
  'a guest that panics has failed at once: cause, last lines and a picture',
  { timeout },
  async () => {
    const screenshot = join(directory, 'screen.png')
    const panic =
      '[    1.7] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block\n'
    const report = await boot(LINUX + panic, { screenshot })
    assert.ok(!report.passed)
    assert.equal(report.diagnosis?.cause, 'root-not-found')
    assert.deepEqual(report.console?.slice(-2), [LINUX.trim(), panic.trim()])
    assert.equal(report.screenshot, screenshot)
    assert.equal((await readFile(screenshot)).toString('latin1', 1, 4), 'PNG')
  },
)

test('a guest that resets again and again, or powers off, has failed', { timeout }, async () => {
  assert.equal((await boot(LINUX, {}, 'reset')).diagnosis?.cause, 'boot-loop')
  const off = await boot(LINUX, {}, 'power-off')
  assert.equal(off.diagnosis?.cause, 'machine-ended')
  assert.deepEqual(off.diagnosis.evidence[0], 'the guest powered off')
})

test('a guest that gets stuck has failed when its time is over', { timeout }, async () => {
  const report = await boot(LINUX, { timeoutMs: 10_000 })
  assert.equal(report.diagnosis?.cause, 'boot-stalled')
})

test('a disk with nothing to boot has failed, under either firmware', { timeout }, async (t) => {
  assert.equal((await boot('')).diagnosis?.cause, 'no-bootable-device')
  if ((await findFirmware()) === undefined) return t.skip('UEFI was not tried: needs ovmf')
  const report = await boot('', { firmware: 'uefi' })
  assert.equal(report.diagnosis?.cause, 'no-bootable-device')
})

test(
  'what cannot be booted at all is a failure of the test, not of the boot',
  { timeout },
  async () => {
    await assert.rejects(
      boot(LINUX, { image: join(directory, 'none') }),
      failsWith('IMAGE_NOT_FOUND'),
    )
  },
)
