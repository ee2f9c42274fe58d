import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { BootTimeline, type Stage } from './boot-timeline.ts'

const follow = (text: string): BootTimeline => {
  const timeline = new BootTimeline()
  timeline.push(Buffer.from(text), 0)
  return timeline
}

const stagesOf = (text: string): Stage[] => follow(text).stages.map(({ stage }) => stage)

const foundBy = (timeline: BootTimeline): string[] =>
  timeline.stages.map(({ stage }) => stage).toSorted((a, b) => (a < b ? -1 : 1))

/** A Debian 12 cloud image on its first boot, shortened. */
const DEBIAN: readonly (readonly [line: string, stage?: Stage])[] = [
  ['\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS (version 1.16.2-debian-1.16.2-1)\r\n', 'firmware'],
  ['Booting from Hard Disk...\r\n'],
  ['\x1b[?25lGNU GRUB  version 2.06-13+deb12u2\r\n', 'bootloader'],
  ["\x1b[?25h  Booting `Debian GNU/Linux'\r\n"],
  [
    '[    0.000000] Linux version 6.1.0-35-cloud-amd64 (debian-kernel@lists.debian.org)\r\n',
    'kernel',
  ],
  ['[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz root=UUID=fa5a ro console=ttyS0\r\n'],
  ['[    5.935864] Run /init as init process\r\n', 'initramfs'],
  ['Begin: Running /scripts/init-premount ... done.\r\n'],
  ['[   10.971786] EXT4-fs (vda3): mounted filesystem with ordered data mode.\r\n', 'root-mounted'],
  ['[   12.877122] systemd[1]: systemd 252.39-1~deb12u2 running in system mode (+PAM)\r\n'],
  ['Welcome to \x1b[1mDebian GNU/Linux 12 (bookworm)\x1b[0m!\r\n', 'init'],
  ['         Starting \x1b[0;1;39mssh.service\x1b[0m - OpenBSD Secure Shell server...\r\n'],
  [
    "[   66.0] cloud-init[322]: Cloud-init v. 22.4.2 running 'init-local' at …\r\n",
    'cloud-init-local',
  ],
  ["[   98.0] cloud-init[354]: Cloud-init v. 22.4.2 running 'init' at …\r\n", 'cloud-init-network'],
  [
    '[   98.7] cloud-init[354]: ci-info: |   lo   | True |         127.0.0.1 | 255.0.0.0 | host |\r\n',
  ],
  [
    '[   98.7] cloud-init[354]: ci-info: | enp0s2 | True |         10.0.2.15 | 255.255.255.0 |\r\n',
    'network',
  ],
  [
    '[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mssh.service\x1b[0m - OpenBSD Secure Shell server.\r\n',
    'ssh',
  ],
  ['\r\nDebian GNU/Linux 12 debian ttyS0\r\n\r\n'],
  ['debian login: ', 'login'],
  [
    "[  120.0] cloud-init[433]: Cloud-init v. 22.4.2 running 'modules:config' at …\r\n",
    'cloud-init-config',
  ],
  [
    "[  130.0] cloud-init[440]: Cloud-init v. 22.4.2 running 'modules:final' at …\r\n",
    'cloud-init-final',
  ],
  [
    '[  131.0] cloud-init[440]: Cloud-init v. 22.4.2 finished at … Datasource DataSourceNoCloud\r\n',
    'cloud-init-done',
  ],
]

test('follows a Debian image through its first boot, stage by stage', () => {
  const timeline = new BootTimeline()
  const seen: Stage[] = []
  for (const [index, [line, stage]] of DEBIAN.entries()) {
    timeline.push(Buffer.from(line), index * 1000)
    if (stage !== undefined) seen.push(stage)
    assert.deepEqual(
      timeline.stages.map((reached) => reached.stage),
      seen,
      line,
    )
  }
  assert.equal(timeline.stages[1]?.atMs, 2000)
  assert.match(timeline.stages[1]?.evidence ?? '', /^GNU GRUB/)
  assert.deepEqual(timeline.clues, [])
})

test('knows other guests too', () => {
  const guests: readonly (readonly [text: string, stages: readonly Stage[]])[] = [
    ['[    0.1] XFS (vda4): Ending clean mount\n', ['root-mounted']],
    ['[    1.9] BTRFS info (device vda3): using free space tree\n', ['root-mounted']],
    ['   OpenRC 0.52.1 is starting up Linux 6.6.7-0-virt (x86_64)\n', ['init']],
    ['Welcome to Alpine Linux 3.19\nlocalhost login: ', ['login']],
    ['udhcpc: lease of 10.0.2.15 obtained from 10.0.2.2, lease time 86400\n', ['network']],
    ['[  OK  ] Reached target network-online.target - Network is Online.\n', ['network']],
    ['[  OK  ] Started sshd.service - OpenSSH server daemon.\n', ['ssh']],
    ['[  OK  ] Listening on ssh.socket - OpenBSD Secure Shell server socket.\n', ['ssh']],
    ['EFI stub: Loaded initrd from LINUX_EFI_INITRD_MEDIA_GUID device path\n', ['kernel']],
    ['dracut: Mounted root filesystem /dev/mapper/rhel-root\n', []],
    ['[    3.0] dracut-pre-udev[328]: rpc.idmapd\n', ['initramfs']],
    ['Welcome to \x1b[0;34mFedora Linux 40 (Cloud Edition)\x1b[0m!\n', ['init']],
    ['ISOLINUX 6.04 20200816 ETCD\n', ['bootloader']],
    ['rocky-9 login:', ['login']],
  ]
  for (const [text, stages] of guests) assert.deepEqual(stagesOf(text), stages, text)
})

test('is not taken in by lines that only look like a stage', () => {
  for (const text of [
    'Last login: Mon Nov 21 10:00:00 2026 from 10.0.2.2\n',
    'Login incorrect\n',
    '         Starting ssh.service - OpenBSD Secure Shell server...\n',
    '[FAILED] Failed to start ssh.service - OpenBSD Secure Shell server.\n',
    'Welcome to GRUB!'.replace('GRUB', 'emergency mode'),
    'Welcome to Rocky Linux 9.4 (Blue Onyx) dracut-057 (Initramfs)!\n',
    'ci-info: | eth0 | False |     .     |     .     |   .   | 52:54:00:12:34:56 |\n',
  ])
    assert.deepEqual(
      stagesOf(text).filter((stage) => stage !== 'initramfs'),
      [],
      text,
    )
})

test('tells of lines as they come, and of a stage once, when it is reached', () => {
  const told: string[] = []
  const timeline = new BootTimeline({
    stage: ({ stage, atMs }) => told.push(`${stage} ${atMs}`),
    line: (line) => told.push(line),
  })
  timeline.push(Buffer.from('a login: '), 1)
  timeline.push(Buffer.from('\na login: '), 2)
  timeline.note('logged-in', 3, 'by SSH')
  timeline.note('logged-in', 4, 'by SSH')
  assert.deepEqual(told, ['login 1', 'a login:', 'logged-in 3'])
})

test('never throws, and finds the same whatever the guest prints and however it comes', () => {
  const lines = [
    ...DEBIAN.map(([line]) => line),
    '\x1b[',
    'grub> ',
    'Kernel panic - not syncing: x\n',
  ]
  const piece = fc.oneof(
    fc.constantFrom(...lines).map((line) => Buffer.from(line)),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      // A line feed at the end of each, so that no piece hides the beginning of the next line.
      const ended = pieces.map((bytes) => Buffer.concat([bytes, Buffer.from('\n')]))
      const whole = new BootTimeline()
      whole.push(Buffer.concat(ended), 0)
      const bytewise = new BootTimeline()
      for (const byte of Buffer.concat(ended)) bytewise.push(Buffer.from([byte]), 0)
      assert.deepEqual(foundBy(bytewise), foundBy(whole))
    }),
    { numRuns: 50 },
  )
})
