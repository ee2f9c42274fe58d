/** `ingot boot-test` as a process: what a boot that fails says, and what it leaves. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  exitOf,
  findProgram,
  runProcess,
  type RunResult,
  startProcess,
} from '../src/base/process.ts'
import { untilItPrints } from '../src/testing/processes.ts'
import { makeSerialGuest } from '../src/testing/serial-guest.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const skip = findProgram('qemu-system-x86_64') === undefined && 'needs qemu-system-x86_64'
const directory = await mkdtemp(join(tmpdir(), 'ingot-boot-command-'))
after(() => rm(directory, { recursive: true, force: true }))
const tempDir = join(directory, 'temp')
const env = { ...process.env, INGOT_TEMP_DIR: tempDir, INGOT_CACHE_DIR: join(directory, 'cache') }

const image = join(directory, 'disk.raw')
const screenshot = join(directory, 'screen.png')
const command = (...words: string[]): string[] => [INGOT, 'boot-test', image, ...words]

async function run(text: string, ...words: string[]): Promise<RunResult> {
  await writeFile(image, makeSerialGuest(text))
  const digest = async () =>
    createHash('sha256')
      .update(await readFile(image))
      .digest('hex')
  const before = await digest()
  const argv = command('--accelerator', 'tcg', '--screenshot', screenshot, ...words)
  const result = await runProcess(argv, { cwd: directory, env, timeoutMs: 300_000 })
  assert.equal(await digest(), before, 'the image is as it was')
  assert.deepEqual(await readdir(tempDir), [], 'nothing of the machine stays')
  return result
}

const PANIC =
  '[    0.0] Linux version 6.1.0\n[    1.7] Kernel panic - not syncing: VFS: Unable to mount root fs\n'

test('a boot that fails exits with 4, the cause, the console and a picture', { skip }, async () => {
  const { code, stdout } = await run(PANIC)
  assert.equal(code, 4)
  const text = stdout.toString()
  assert.match(text, /likely cause: root-not-found/)
  assert.match(text, /\| \[ {4}1\.7\] Kernel panic/)
  assert.match(text, /does not boot as it should {2}\(BIOS, emulated/)
  assert.equal((await readFile(screenshot)).toString('latin1', 1, 4), 'PNG')
})

test('the same for programs, as JSON', { skip }, async () => {
  const { code, stdout, stderr } = await run(PANIC, '--json')
  assert.equal(code, 4)
  const { boot } = JSON.parse(stdout.toString()) as { boot: Record<string, unknown> }
  assert.equal(boot['passed'], false)
  assert.deepEqual((boot['diagnosis'] as { cause: string }).cause, 'root-not-found')
  const events = stderr.toString().trim().split('\n')
  assert.ok(events.some((line) => (JSON.parse(line) as { id?: string }).id === 'kernel'))
})

test('a guest that does not come up in time is told of', { skip }, async () => {
  const { code, stdout } = await run('[    0.0] Linux version 6.1.0\n', '--timeout', '10s')
  assert.equal(code, 4)
  assert.match(stdout.toString(), /likely cause: boot-stalled/)
})

test('Ctrl-C ends it and leaves nothing', { skip }, async () => {
  await writeFile(image, makeSerialGuest('[    0.0] Linux version 6.1.0\n'))
  const child = startProcess(command('--accelerator', 'tcg', '--json'), { cwd: directory, env })
  const ended = exitOf(child, 'ingot')
  await untilItPrints(child, '"id":"kernel"')
  child.kill('SIGINT')
  assert.equal(await ended, 130)
  assert.deepEqual(await readdir(tempDir), [])
})

const go = (...words: string[]): Promise<RunResult> =>
  runProcess([INGOT, 'boot-test', ...words], { cwd: directory, env })

test('what cannot be booted at all is said as what it is', { skip }, async () => {
  assert.equal((await go('no-such-image.raw')).code, 3)
  assert.equal((await go(image, '--memory', 'much')).code, 2)
  assert.equal((await go(image, '--cpus', '0')).code, 2)
})
