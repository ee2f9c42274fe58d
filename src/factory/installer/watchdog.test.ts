import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Activity } from '../../machines/machine.ts'
import { type Stall, Watchdog, type WatchLimits } from './watchdog.ts'

const LIMITS: WatchLimits = {
  bootMs: 60_000,
  installMs: 600_000,
  inactivityMs: 120_000,
  promptMs: 5000,
  shutdownMs: 30_000,
}
const IDLE: Activity = { written: 0, read: 0, packets: 0, cpuMs: 0 }

/** A watchdog, with a clock that is told what is printed when. */
function follow(printed: Readonly<Record<number, string>>, expectsRequest = false): Watchdog {
  const watchdog = new Watchdog(LIMITS, expectsRequest)
  for (const [atMs, text] of Object.entries(printed)) {
    watchdog.sample(IDLE, Number(atMs))
    watchdog.print(Buffer.from(text), Number(atMs))
  }
  return watchdog
}

/** When it is given up, looking every second, and why. */
function giveUp(watchdog: Watchdog, fromMs: number): Stall & { readonly atMs: number } {
  for (let atMs = fromMs; atMs <= LIMITS.installMs; atMs += 1000) {
    watchdog.sample(IDLE, atMs)
    const stall = watchdog.check(atMs)
    if (stall !== undefined) return { ...stall, atMs }
  }
  return assert.fail('it was never given up')
}

test('a dialog that is drawn and then left alone is told within seconds', () => {
  const dialog =
    '\x1b[2J\x1b[3;5H┌─┤ [!!] Choose a mirror ├─┐\x1b[5;7HBad archive mirror\x1b[9;7H<Go Back>  <Continue>'
  const { reason, told, cause, atMs } = giveUp(follow({ 20_000: dialog }), 21_000)
  assert.equal(reason, 'prompt')
  assert.equal(told, 'the installer waits for a key: “Bad archive mirror”')
  assert.match(cause, /^the mirror has no such component/)
  assert.equal(atMs, 25_000)
})

/** As GNU screen draws it below debian-installer, every minute. */
const CLOCK =
  '\x1b[H\x1b[32m[           \x1b[31m (\x1b[37m1*installer\x1b[31m)\x1b[37m  2 shell  4- log           \x1b[32m][\x1b[34m Nov 22 \x1b[37m 9:56 \x1b[32m]\x1b[19;68H'

test('a clock that goes on hides no dialog, and is no sign of life', () => {
  const dialog = '\x1b[2JContinue without a default route?\x1b[9;7H<Go Back>  <Yes>  <No>'
  const asked = giveUp(follow({ 20_000: dialog, 23_000: CLOCK }), 24_000)
  assert.deepEqual([asked.reason, asked.atMs], ['prompt', 25_000])
  const silent = follow({ 1000: 'Loading additional components', 60_000: CLOCK, 120_000: CLOCK })
  assert.deepEqual(giveUp(silent, 120_000).reason, 'inactivity')
})

for (const [what, text, cause] of [
  [
    'debian-installer on a serial line',
    "Prompt: '?' for help, default=1> ",
    /leaves a question open/,
  ],
  [
    'a small machine',
    'Low memory\nEntering low memory mode\n[Press enter to continue] ',
    /too little memory/,
  ],
  [
    'anaconda',
    "Please make a selection from the above ['b' to begin, 'q' to quit]: ",
    /leaves a question open/,
  ],
  ['subiquity', 'Continue with autoinstall? (yes|no)', /leaves a question open/],
  [
    'an answer file that is not there',
    'Failed to retrieve the preconfiguration file\n<Continue>',
    /answer file could not be fetched/,
  ],
  [
    'a system that starts instead',
    '\nDebian GNU/Linux 12 debian ttyS0\n\ndebian login: ',
    /no installer runs/,
  ],
  [
    'a mirror of another version',
    'No kernel modules were found\n<Yes> <No>',
    /has no such component/,
  ],
] as const)
  test(`a prompt is known: ${what}`, () => {
    const stall = giveUp(follow({ 10_000: text }), 11_000)
    assert.equal(stall.reason, 'prompt')
    assert.match(stall.cause, cause)
  })

for (const [what, text, cause] of [
  ['a panic', '[    1.2] Kernel panic - not syncing: Attempted to kill init!\n', /kernel panicked/],
  [
    'an initrd that is none',
    'VFS: Unable to mount root fs on unknown-block(0,0)\nKernel panic - not syncing: VFS\n',
    /could not use the initrd/,
  ],
  [
    'dracut’s emergency shell',
    'Generating "/run/initramfs/rdsosreport.txt"\nEntering emergency mode.\n',
    /did not start/,
  ],
  ['an installer that died', 'Pane is dead (status 1)\n', /installer itself failed/],
] as const)
  test(`what is final is told at once: ${what}`, () => {
    const stall = giveUp(follow({ 10_000: text }), 10_500)
    assert.equal(stall.reason, 'fatal')
    assert.ok(stall.atMs < 13_500, 'a moment is left for last words')
    assert.match(stall.cause, cause)
  })

test('what was printed before explains what comes after', () => {
  const printed = {
    9000: 'wget: server returned error: HTTP/1.1 404 Not Found\n',
    15_000: 'Loading additional components\n<Go Back> <Continue>',
  }
  assert.equal(giveUp(follow(printed), 16_000).cause, 'the mirror has no such component')
})

test('a prompt that was answered is no prompt, however long nothing is printed then', () => {
  const watchdog = follow({ 10_000: '<Go Back> <Continue>', 13_000: 'Formatting partitions' })
  for (let atMs = 14_000; atMs < 100_000; atMs += 1000) {
    watchdog.sample({ ...IDLE, written: atMs }, atMs)
    assert.equal(watchdog.check(atMs), undefined)
  }
})

test('nothing is given up while the disk is written or packets come', () => {
  for (const what of ['written', 'read', 'packets'] as const) {
    const watchdog = follow({ 1000: 'Linux version 6.1\n' })
    for (let atMs = 2000; atMs < LIMITS.installMs; atMs += 1000) {
      watchdog.sample({ ...IDLE, [what]: atMs }, atMs)
      assert.equal(watchdog.check(atMs), undefined, `${what} at ${atMs}`)
    }
  }
})

test('a guest that shows no life is given up after the time for booting', () => {
  const stall = giveUp(follow({ 500: 'SeaBIOS (version 1.16)\n' }), 1000)
  assert.deepEqual([stall.reason, stall.atMs], ['boot', 60_000])
  assert.match(stall.cause, /kernel did not start/)
})

test('a guest that does nothing is given up, and told to be idle or busy', () => {
  const watchdog = follow({ 1000: 'Linux version 6.1\n' })
  const stall = giveUp(watchdog, 2000)
  assert.deepEqual([stall.reason, stall.atMs], ['inactivity', 121_000])
  assert.match(stall.cause, /the guest is idle/)
  const busy = follow({ 1000: 'Linux version 6.1\n' })
  for (let atMs = 2000; atMs < 121_000; atMs += 1000) busy.sample({ ...IDLE, cpuMs: atMs }, atMs)
  assert.match(busy.check(121_000)?.cause ?? '', /the guest is busy/)
})

test('an answer file that nobody asked for is told', () => {
  assert.match(
    giveUp(follow({ 1000: 'Linux version 6.1\n' }, true), 2000).cause,
    /never asked for its answer/,
  )
  const asked = follow({ 1000: 'Linux version 6.1\n' }, true)
  asked.request('preseed.cfg', true, 3000)
  assert.match(giveUp(asked, 4000).cause, /idle/)
})

test('an installer that works for ever, or does not end, has limits', () => {
  const writes = follow({ 1000: 'Linux version 6.1\n' })
  writes.sample({ ...IDLE, written: 7 }, 599_000)
  assert.equal(writes.check(600_000)?.reason, 'install')
  const stays = follow({ 1000: 'Linux version 6.1\n', 5000: 'reboot: Power down\n' })
  assert.deepEqual(
    [giveUp(stays, 6000)].map(({ reason, atMs }) => [reason, atMs]),
    [['shutdown', 35_000]],
  )
})

test('progress goes forward only, whatever is printed again', () => {
  const watchdog = follow({ 1: 'Installing GRUB boot loader\n', 2: 'Detecting network hardware\n' })
  assert.deepEqual(watchdog.progress, { fraction: 0.9, step: 'installing the boot loader' })
})

test('any bytes at any times are taken, and what is kept of them is bounded', () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 2000 }),
    fc.constant(Buffer.from('404 Not Found\n')),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const watchdog = new Watchdog(LIMITS)
      for (const [index, bytes] of pieces.entries()) {
        watchdog.print(bytes, index * 100)
        watchdog.check(index * 100)
      }
      assert.ok(watchdog.report().console.every((line) => line.length <= 1000))
    }),
    { numRuns: 60 },
  )
  const long = new Watchdog(LIMITS)
  for (let atMs = 0; atMs < 2_000_000; atMs += 1000) long.sample({ ...IDLE, written: atMs }, atMs)
  assert.ok(long.report().samples.length <= 240)
})
