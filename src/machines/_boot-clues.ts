/** Why a boot went wrong. */
export type Cause =
  | 'no-bootable-device'
  | 'bootloader-stopped'
  | 'kernel-did-not-start'
  | 'cpu-too-old'
  | 'out-of-memory'
  | 'root-not-found'
  | 'init-not-found'
  | 'kernel-panic'
  | 'emergency-mode'
  | 'file-system-damaged'
  | 'no-space'
  | 'unit-failed'
  | 'unit-hangs'
  | 'network-down'
  | 'cloud-init-failed'
  | 'cloud-init-no-seed'
  | 'cloud-init-unfinished'
  | 'ssh-not-started'
  | 'ssh-key-refused'
  | 'boot-loop'
  | 'machine-ended'
  | 'silent-console'
  | 'boot-stalled'
  | 'no-login-prompt'

/** A line that shows that something is wrong. */
export interface Clue {
  readonly cause: Cause
  readonly line: string
  readonly atMs: number
  /** Nothing good comes after it: waiting longer is no use. */
  readonly fatal: boolean
}

interface Rule {
  cause: Cause
  pattern: RegExp
  fatal: boolean
  /** It has no end of line. */
  prompt?: true
}

/**
 * What guests print when something is wrong. The order is the order of belief: a line above explains
 * those below it (no root file system, hence a panic; a failed unit, hence emergency mode).
 */
export const RULES: readonly Rule[] = [
  {
    cause: 'no-bootable-device',
    fatal: true,
    pattern: /^No bootable device|No bootable option or device was found|UEFI Interactive Shell v/,
  },
  {
    cause: 'bootloader-stopped',
    fatal: true,
    prompt: true,
    pattern: /^grub(?: rescue)?>/,
  },
  {
    cause: 'bootloader-stopped',
    fatal: false,
    pattern:
      /^error: (?:no such (?:partition|device)|unknown filesystem|file .* not found|symbol .* not found|disk .* not found|you need to load the kernel first)/,
  },
  {
    cause: 'cpu-too-old',
    fatal: true,
    pattern: /CPU does not support x86-64-v\d|CPU ISA level is lower than required/,
  },
  {
    cause: 'out-of-memory',
    fatal: true,
    pattern: /System is deadlocked on memory|Kernel panic - not syncing: Out of memory/,
  },
  { cause: 'out-of-memory', fatal: false, pattern: /Out of memory: Kill(?:ed)? process/ },
  {
    cause: 'root-not-found',
    fatal: true,
    pattern:
      /VFS: Unable to mount root fs|ALERT! +\S+ does not exist|Gave up waiting for root|dracut-initqueue.*timeout|Warning: \/dev\/\S+ does not exist/,
  },
  {
    cause: 'init-not-found',
    fatal: true,
    pattern: /No working init found|Requested init \S+ failed|No init found\. Try passing init=/,
  },
  { cause: 'kernel-panic', fatal: true, pattern: /Kernel panic - not syncing/ },
  {
    cause: 'emergency-mode',
    fatal: true,
    pattern:
      /You are in (?:emergency|rescue) mode|Welcome to (?:emergency|rescue) mode|Entering emergency mode|Cannot open access to console, the root account is locked/,
  },
  {
    cause: 'file-system-damaged',
    fatal: false,
    pattern:
      /EXT4-fs error|UNEXPECTED INCONSISTENCY|XFS \(\S+\): .*[Cc]orruption|BTRFS (?:error|critical)|I\/O error, dev (?:vd|sd)|Buffer I\/O error on dev/,
  },
  { cause: 'no-space', fatal: false, pattern: /No space left on device/ },
  {
    cause: 'ssh-not-started',
    fatal: false,
    pattern:
      /Failed to start .*(?:OpenBSD Secure Shell|OpenSSH|\bsshd?\.service)|no hostkeys available/,
  },
  {
    cause: 'network-down',
    fatal: false,
    pattern:
      /Failed to start .*(?:Network Configuration|Network to be Configured|Network Manager|Raise network interfaces|networking\.service)|No DHCPOFFERS received/,
  },
  {
    cause: 'cloud-init-failed',
    fatal: false,
    pattern:
      /Failed to start .*[Cc]loud-init|Failed to start .*(?:metadata service crawler|settings specified in cloud-config)|cloud-init\[\d+\]: .*(?:Traceback|ERROR|CRITICAL|failed)/,
  },
  {
    cause: 'cloud-init-no-seed',
    fatal: false,
    pattern: /Cloud-init v\. \S+ finished at .*Datasource DataSourceNone/,
  },
  {
    cause: 'unit-failed',
    fatal: false,
    pattern: /\[(?:FAILED|DEPEND)\] |Failed to start .+\.service/,
  },
  {
    cause: 'unit-hangs',
    fatal: false,
    pattern: /A start job is running for .+\((?:\dmin|[3-9]\ds)/,
  },
]

/** What a line gives away; of an unfinished one, only what prompts do. */
export function findClues(line: string, atMs: number, unfinished = false): Clue[] {
  return RULES.filter(({ pattern, prompt }) => (prompt || !unfinished) && pattern.test(line)).map(
    ({ cause, fatal }) => ({ cause, fatal, line, atMs }),
  )
}
