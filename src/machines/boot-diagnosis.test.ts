import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type BootFacts, type Cause, diagnoseBoot } from './boot-diagnosis.ts'
import { BootTimeline } from './boot-timeline.ts'

const follow = (text: string): BootTimeline => {
  const timeline = new BootTimeline()
  timeline.push(Buffer.from(text), 0)
  return timeline
}

const diagnose = (text: string, facts: Partial<BootFacts> = {}): ReturnType<typeof diagnoseBoot> =>
  diagnoseBoot(follow(text), { resets: 0, ...facts })

/** What consoles show when a boot fails, what that means, and whether waiting longer is no use. */
const CONSOLES: readonly { cause: Cause; fatal: boolean; text: string; shows: RegExp }[] = [
  {
    cause: 'no-bootable-device',
    fatal: true,
    text: 'BdsDxe: failed to load Boot0001 "UEFI Misc Device" from PciRoot(0x0)/Pci(0x3,0x0): Not Found\r\nBdsDxe: No bootable option or device was found.\r\nBdsDxe: Press any key to enter the Boot Manager Menu.\r\n',
    shows: /No bootable option/,
  },
  {
    cause: 'no-bootable-device',
    fatal: true,
    text: 'SeaBIOS (version 1.16.2)\r\nBooting from Hard Disk...\r\nBoot failed: not a bootable disk\r\n\r\nNo bootable device.\r\n',
    shows: /No bootable device/,
  },
  {
    cause: 'no-bootable-device',
    fatal: true,
    text: 'UEFI Interactive Shell v2.2\r\nEDK II\r\nShell> ',
    shows: /Shell v2/,
  },
  {
    cause: 'bootloader-stopped',
    fatal: true,
    text: 'GRUB loading.\r\nWelcome to GRUB!\r\n\r\nerror: no such partition.\r\nEntering rescue mode...\r\ngrub rescue> ',
    shows: /no such partition/,
  },
  {
    cause: 'bootloader-stopped',
    fatal: true,
    text: 'GNU GRUB  version 2.06\r\n\r\n   Minimal BASH-like line editing is supported.\r\n\r\ngrub> ',
    shows: /^grub>/,
  },
  {
    cause: 'root-not-found',
    fatal: true,
    text: '[    1.7] /dev/root: Can\'t open blockdev\r\n[    1.7] VFS: Cannot open root device "vda9" or unknown-block(0,0): error -6\r\n[    1.7] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n[    1.7] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0) ]---\r\n',
    shows: /Unable to mount root/,
  },
  {
    cause: 'root-not-found',
    fatal: true,
    text: 'Gave up waiting for root file system device.  Common problems:\r\n - Boot args (cat /proc/cmdline)\r\nALERT!  UUID=0123-beef does not exist.  Dropping to a shell!\r\n\r\nBusyBox v1.35.0 (Debian 1:1.35.0-4+b3) built-in shell (ash)\r\n(initramfs) ',
    shows: /UUID=0123-beef does not exist/,
  },
  {
    cause: 'root-not-found',
    fatal: true,
    text: '[  132.5] dracut-initqueue[402]: Warning: dracut-initqueue: timeout, still waiting for following initqueue hooks:\r\n[  190.1] dracut-initqueue[402]: Warning: /dev/disk/by-uuid/4f7a does not exist\r\n         Starting Dracut Emergency Shell...\r\n',
    shows: /dracut-initqueue/,
  },
  {
    cause: 'init-not-found',
    fatal: true,
    text: '[    3.1] Kernel panic - not syncing: No working init found.  Try passing init= option to kernel.\r\n',
    shows: /No working init/,
  },
  {
    cause: 'cpu-too-old',
    fatal: true,
    text: 'Fatal glibc error: CPU does not support x86-64-v3\r\n[    2.5] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00007f00\r\n',
    shows: /x86-64-v3/,
  },
  {
    cause: 'kernel-panic',
    fatal: true,
    text: '[    9.8] Kernel panic - not syncing: Fatal exception in interrupt\r\n',
    shows: /Fatal exception/,
  },
  {
    cause: 'out-of-memory',
    fatal: true,
    text: '[    2.0] Kernel panic - not syncing: System is deadlocked on memory\r\n',
    shows: /deadlocked on memory/,
  },
  {
    cause: 'emergency-mode',
    fatal: true,
    text: '[\x1b[0;1;31m TIME \x1b[0m] Timed out waiting for device /dev/vdb1.\r\n[\x1b[0;1;33mDEPEND\x1b[0m] Dependency failed for /data.\r\n[\x1b[0;1;33mDEPEND\x1b[0m] Dependency failed for Local File Systems.\r\nYou are in emergency mode. After logging in, type "journalctl -xb" to view\r\n\r\nCannot open access to console, the root account is locked.\r\n',
    shows: /Dependency failed for \/data/,
  },
  {
    cause: 'no-space',
    fatal: false,
    text: "cp: error writing '/run/x': No space left on device\r\n",
    shows: /No space left/,
  },
  {
    cause: 'file-system-damaged',
    fatal: false,
    text: '[    4.4] EXT4-fs error (device vda1): ext4_lookup:1855: inode #131074: comm systemd: deleted inode referenced: 131110\r\n',
    shows: /deleted inode/,
  },
  {
    cause: 'ssh-not-started',
    fatal: false,
    text: '[FAILED] Failed to start ssh.service - OpenBSD Secure Shell server.\r\ndebian login: ',
    shows: /Secure Shell/,
  },
  {
    cause: 'network-down',
    fatal: false,
    text: '[FAILED] Failed to start systemd-networkd-wait-online.service - Wait for Network to be Configured.\r\n',
    shows: /Wait for Network/,
  },
  {
    cause: 'cloud-init-failed',
    fatal: false,
    text: '[   40.1] cloud-init[612]: 2026-11-21 10:00:00,000 - util.py[WARNING]: Running module scripts_user failed\r\n',
    shows: /scripts_user/,
  },
  {
    cause: 'unit-failed',
    fatal: false,
    text: '[FAILED] Failed to start nginx.service - A high performance web server.\r\n',
    shows: /nginx/,
  },
  {
    cause: 'unit-hangs',
    fatal: false,
    text: '[    **] A start job is running for Wait for a disk (1min 5s / no limit)\r\n',
    shows: /Wait for a disk/,
  },
]

test('reads the cause from what the console shows', () => {
  for (const { cause, fatal, text, shows } of CONSOLES) {
    const found = diagnose(text)
    assert.equal(found.cause, cause, text)
    assert.match(found.evidence.join('\n'), shows)
    assert.ok(found.hint.length > 20)
    assert.equal(
      follow(text).clues.some((clue) => clue.fatal),
      fatal,
      text,
    )
  }
})

test('a healthy boot shows no cause', () => {
  const text =
    '[    0.0] Linux version 6.1.0\n[  1.0] EXT4-fs (vda1): mounted filesystem\n[  OK  ] Started ssh.service - OpenBSD Secure Shell server.\ncloud-init[1]: Cloud-init v. 22.4.2 finished\ndebian login: '
  assert.deepEqual(follow(text).clues, [])
})

const LOGIN =
  '[    0.0] Linux version 6.1.0\nWelcome to Debian GNU/Linux 12 (bookworm)!\ndebian login: '

const ssh = (outcome: 'no-answer' | 'refused'): Partial<BootFacts> => ({
  ssh: { outcome, said: 'as ssh said' },
})

test('believes what it knows otherwise when the console shows nothing', () => {
  const cases: readonly (readonly [text: string, facts: Partial<BootFacts>, cause: Cause])[] = [
    [LOGIN, ssh('refused'), 'ssh-key-refused'],
    [
      `${LOGIN}\nCloud-init v. 24 finished at x. Datasource DataSourceNone.\n`,
      ssh('refused'),
      'cloud-init-no-seed',
    ],
    [LOGIN, ssh('no-answer'), 'ssh-not-started'],
    [
      `${LOGIN}\n[  OK  ] Started sshd.service - OpenSSH server daemon.\n`,
      ssh('no-answer'),
      'network-down',
    ],
    [LOGIN, { cloudInitErrors: ['a module failed'] }, 'cloud-init-failed'],
    [LOGIN, {}, 'cloud-init-unfinished'],
    [LOGIN, { resets: 3 }, 'boot-loop'],
    ['', { ended: 'the guest powered off' }, 'machine-ended'],
    ['', {}, 'silent-console'],
    ['Welcome to GRUB!\n', {}, 'kernel-did-not-start'],
    ['[    0.0] Linux version 6.1.0\n', {}, 'boot-stalled'],
    ['Welcome to Debian GNU/Linux 12 (bookworm)!\n', {}, 'no-login-prompt'],
  ]
  for (const [text, facts, cause] of cases) assert.equal(diagnose(text, facts).cause, cause, text)
})

test('believes what is certain before what is only odd', () => {
  const text =
    '[FAILED] Failed to start nginx.service.\n[   9.8] Kernel panic - not syncing: dead\n'
  assert.equal(diagnose(text, { ended: 'QEMU ended' }).cause, 'kernel-panic')
  assert.equal(
    diagnose('[FAILED] Failed to start nginx.service.\n', { resets: 3 }).cause,
    'boot-loop',
  )
})

test('always has an answer, of bounded size', () => {
  const piece = fc.oneof(fc.constantFrom(...CONSOLES.map(({ text }) => text)), fc.string())
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), fc.nat({ max: 4 }), (pieces, resets) => {
      const { evidence, hint } = diagnose(pieces.join('\n'), { resets })
      assert.ok(hint !== '' && evidence.length <= 10)
      assert.ok(evidence.every((line) => line.length <= 1000))
    }),
  )
})
