import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type Context, makeContext } from '../base/context.ts'
import { failsWith } from '../testing/fails-with.ts'
import { FEATS } from './_probe-rom.ts'
import { runProbe } from './_run-probe.ts'
import {
  type Accelerator,
  chooseAccelerator,
  emulation,
  probeAccelerator,
  rememberAccelerator,
} from './accelerator.ts'
import { checkQemu } from './qemu.ts'

const directory = await mkdtemp(join(tmpdir(), 'ingot-accelerator-test-'))
after(() => rm(directory, { recursive: true, force: true }))
const context = makeContext()
const timeout = 300_000
/** A file that opens as /dev/kvm would, on any host. */
const device = join(directory, 'device')
await writeFile(device, '')
const at = (time: string): Context => makeContext({ now: () => new Date(time) })
const KVM: Accelerator = { kind: 'kvm', cpu: 'host', reason: 'a test says so' }

test('the probe guest does every feat where guests run', { timeout }, async () => {
  const result = await runProbe(await checkQemu(), 'tcg', 'max', 30_000, context)
  assert.equal(result.reached, Object.keys(FEATS).join(''))
  assert.ok(result.works)
})

test(
  'a guest that cannot do a feat, or takes too long, shows that it does not work',
  { timeout },
  async () => {
    const qemu = await checkQemu()
    const old = await runProbe(qemu, 'tcg', 'qemu32', 30_000, context) // has no long mode
    assert.deepEqual([old.works, old.reached], [false, 'RP'])
    assert.match(old.reason, /could not do long mode/)
    const hurried = await runProbe(qemu, 'tcg', 'max', 1, context)
    assert.ok(!hurried.works)
    assert.match(hurried.reason, /hung at real mode/)
  },
)

test('says what QEMU said when it does not even start a guest', { timeout }, async () => {
  const result = await runProbe(await checkQemu(), 'tcg', 'no-such', 30_000, context)
  assert.deepEqual([result.works, result.reached], [false, ''])
  assert.match(result.reason, /QEMU ended before a guest ran: .*no-such/)
})

test('leaves no file behind, and stops when it is told to', { timeout }, async (t) => {
  const { TMPDIR: usual = tmpdir() } = process.env
  t.after(() => (process.env['TMPDIR'] = usual))
  const own = join(directory, 'temp') // others probe at the same time
  await mkdir(own)
  process.env['TMPDIR'] = own
  const signal = AbortSignal.abort()
  const qemu = await checkQemu()
  await assert.rejects(
    runProbe(qemu, 'tcg', 'max', 30_000, makeContext({ signal })),
    failsWith('INTERRUPTED'),
  )
  assert.deepEqual(await readdir(own), [])
})

test('without the device guests are emulated, and the reason says so', async () => {
  const found = await probeAccelerator({ device: join(directory, 'none') }, context)
  assert.equal(found.kind, 'tcg')
  assert.match(found.reason, /there is no .*none/)
})

test('a device that opens is no proof: a guest is asked', { timeout }, async () => {
  const found = await probeAccelerator({ device }, context)
  assert.ok(
    found.kind === 'kvm' ? /KVM works/.test(found.reason) : /runs no guests/.test(found.reason),
  )
})

test('a kept answer is used until it is too old', { timeout }, async () => {
  const cacheDir = join(directory, 'cache')
  await rememberAccelerator(KVM, { cacheDir }, at('2026-01-01T00:00:00Z'))
  const ask = (time: string) => probeAccelerator({ device, cacheDir, timeoutMs: 1 }, at(time))
  assert.deepEqual(await ask('2026-01-01T23:00:00Z'), KVM)
  assert.notDeepEqual(await ask('2026-01-02T01:00:00Z'), KVM)
  const tcg = emulation('a test says so')
  await rememberAccelerator(tcg, { cacheDir }, at('2026-01-01T00:00:00Z'))
  assert.deepEqual(await ask('2026-01-01T00:30:00Z'), tcg)
  assert.notDeepEqual(await ask('2026-01-01T02:00:00Z'), tcg)
})

test('an answer about another host, or no answer at all, is not used', { timeout }, async () => {
  const cacheDir = await mkdtemp(join(directory, 'cache-'))
  const path = join(cacheDir, 'accelerator.json')
  for (const text of [
    '',
    '{',
    '[]',
    'null',
    '{"answer":{}}',
    JSON.stringify({ key: 'x', at: new Date(), answer: KVM }),
  ]) {
    await writeFile(path, text)
    const found = await probeAccelerator({ device, cacheDir, timeoutMs: 1 }, context)
    assert.notDeepEqual(found, KVM, text)
  }
})

test('a cache that cannot be written does no harm', async () => {
  await rememberAccelerator(KVM, { cacheDir: join(device, 'below-a-file') }, context)
})

test('gives what was asked for, or says why not', { timeout }, async () => {
  assert.equal((await chooseAccelerator('tcg', {}, context)).kind, 'tcg')
  await assert.rejects(
    chooseAccelerator('kvm', { device: join(directory, 'none') }, context),
    failsWith('MACHINE_FAILED'),
  )
})
