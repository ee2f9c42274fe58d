/**
 * What installers print that tells how they are: a table of facts, so that whoever meets a new way to fail adds a
 * line. A prompt on the console of an unattended installer means that it waits for ever; the text around it says why.
 */

/** `fatal`: nothing good comes after it. `prompt`: it waits for a key. `clue`: it may explain a failure. */
export type SignKind = 'fatal' | 'prompt' | 'clue'

export interface SignRule {
  readonly sign: string
  readonly kind: SignKind
  readonly pattern: RegExp
  /** The likely cause, for people; undefined: it says that something is wrong, not what. */
  readonly means?: string
}

/**
 * In the order of belief: a line above explains those below it.
 * Source: the templates of debian-installer (choose-mirror, netcfg, anna, partman, preseed, lowmem), anaconda's text
 * mode and dracut modules, subiquity, linuxrc; the stalls in issue trackers of Oz and Image Factory.
 */
export const SIGNS: readonly SignRule[] = [
  {
    sign: 'answer-file-missing',
    kind: 'prompt',
    pattern:
      /Failed to (?:retrieve|process) the preconfiguration file|Unable to download the kickstart file|kickstart location .* (?:not found|failed)|Could not (?:fetch|retrieve).*(?:control|profile) file/i,
    means: 'the answer file could not be fetched or read',
  },
  {
    sign: 'answer-file-wrong',
    kind: 'prompt',
    pattern:
      /The following problem occurred on line \d+ of the kickstart|(?:Unknown command|kickstart.*syntax error)|Malformed autoinstall|autoinstall.*(?:validation|schema) (?:error|failed)|Error while (?:parsing|reading) the control file/i,
    means: 'the answer file has a mistake',
  },
  {
    sign: 'low-memory',
    kind: 'prompt',
    pattern:
      /Entering low memory mode|insufficient memory|(?:Not enough|Insufficient) (?:memory|RAM)|requires? (?:at least )?\d+ ?[MG]i?B (?:of )?(?:memory|RAM)|memory to install .* on this machine/i,
    means: 'the machine has too little memory for this installer',
  },
  {
    sign: 'out-of-memory',
    kind: 'fatal',
    pattern: /System is deadlocked on memory|Kernel panic - not syncing: Out of memory/,
    means: 'the machine has too little memory for this installer',
  },
  {
    sign: 'initrd-not-unpacked',
    kind: 'fatal',
    pattern: /Initramfs unpacking failed|VFS: Unable to mount root fs|No working init found/,
    means: 'the kernel could not use the initrd: it is damaged, or does not belong to this kernel',
  },
  {
    sign: 'kernel-panic',
    kind: 'fatal',
    pattern: /Kernel panic - not syncing/,
    means: 'the installer’s kernel panicked; the lines before say why',
  },
  {
    sign: 'no-stage-two',
    kind: 'fatal',
    pattern:
      /dracut-initqueue.*(?:timeout|Could not boot)|Failed to find a root filesystem|Unable to find .*squashfs|Unable to find a (?:live|medium)|Could not find the (?:SUSE|openSUSE).*Repository/i,
    means: 'the installer’s second part was not found: is the install tree whole, and reachable?',
  },
  {
    sign: 'emergency-shell',
    kind: 'fatal',
    pattern:
      /Entering emergency mode|dracut:\/#|^\(initramfs\)|You are in (?:emergency|rescue) mode/m,
    means: 'the installer’s system did not start',
  },
  {
    sign: 'installer-died',
    kind: 'fatal',
    pattern:
      /Pane is dead|anaconda.*(?:exited abnormally|terminated)|An unknown error has occurred|install(?:ation)? (?:failed|was aborted)|YaST got signal|An error occurred\. Press enter to start a shell/i,
    means: 'the installer itself failed; the lines before say why',
  },
  {
    sign: 'mirror-refuses',
    kind: 'clue',
    pattern:
      /\b(?:HTTP\/1\.[01] |ERROR |error: |status )404\b|404 +Not Found|does not have a Release file|No such (?:component|suite)/i,
    means: 'the mirror has no such component',
  },
  {
    sign: 'bad-mirror',
    kind: 'prompt',
    pattern:
      /Bad archive mirror|mirror does not (?:support|seem to support|have)|Failed to determine the codename|Cannot access repository|Error setting up (?:base )?(?:repository|software source)/i,
    means:
      'the mirror has no such component, suite or architecture, or cannot be reached from the guest',
  },
  {
    sign: 'no-modules',
    kind: 'prompt',
    pattern:
      /No kernel modules were found|Load(?:ing)? installer components.*fail|Download.*failed/i,
    means: 'the mirror has no such component: it does not belong to the installer’s kernel',
  },
  {
    sign: 'no-network',
    kind: 'prompt',
    pattern:
      /Network autoconfiguration failed|No Ethernet card was detected|No network interfaces? detected|No DHCPOFFERS received/i,
    means: 'the guest has no network: no driver for its card, or no answer to DHCP',
  },
  {
    sign: 'no-disk',
    kind: 'prompt',
    pattern:
      /No (?:root file system|partitionable media|disk drive was detected|usable disks|disks selected)|Specified nonexistent disk|no installable (?:disk|media)/i,
    means:
      'the installer finds no disk to install to: a wrong name in the answer file, or no driver',
  },
  {
    sign: 'disk-too-small',
    kind: 'prompt',
    pattern:
      /(?:partition|disk|file ?system).{0,40}too small|Not enough (?:free )?(?:disk )?space|Failed to partition the selected disk|No space left on device/i,
    means: 'the disk is too small for what is to be installed',
  },
  {
    sign: 'package-failed',
    kind: 'prompt',
    pattern:
      /Installation step failed|Unable to install (?:the (?:selected kernel|base system|GRUB)|busybox)|Select and install software.{0,200}failed|missing packages/is,
    means: 'a package could not be installed',
  },
  {
    sign: 'bad-signature',
    kind: 'prompt',
    pattern:
      /not (?:correctly )?signed|public key .* not available|GPG (?:check|key).*fail|NO_PUBKEY/i,
    means: 'a signature of the mirror cannot be checked: an old installer, or another’s mirror',
  },
  {
    sign: 'traceback',
    kind: 'clue',
    pattern: /Traceback \(most recent call last\)/,
    means: 'the installer itself failed; the lines after say why',
  },
  // Not <Cancel>: what is under way may be cancelled, but is no question.
  { sign: 'dialog', kind: 'prompt', pattern: /<(?:Go Back|Continue|Yes|No|OK|Ok|Retry)>/ },
  {
    sign: 'question',
    kind: 'prompt',
    pattern:
      /Prompt: '\?' for help|\[Press enter to continue\]|Press (?:enter|ENTER|any key|return)\b|Please make a (?:selection|choice)|Please make your choice|Please respond '(?:yes|no)'|\[[cqbrh]' to |\(?yes\|no\)?|Retry\?|Abort\/Retry/i,
  },
  {
    sign: 'login-prompt',
    kind: 'prompt',
    pattern: /^(?!Last\b)[\w.-]+ login: ?$/im,
    means: 'no installer runs: a system waits for somebody to log in',
  },
]

/** How far an installation is, with the part of it that is done then. */
export const STEPS: readonly {
  readonly step: string
  readonly fraction: number
  readonly pattern: RegExp
}[] = [
  {
    step: 'the kernel runs',
    fraction: 0.01,
    pattern: /\bLinux version \d|Run \/init as init|Decompressing Linux/,
  },
  {
    step: 'the installer runs',
    fraction: 0.03,
    pattern:
      /Starting system log daemon|stub installer: started|anaconda \d[\w.-]* .*started|Starting installer|subiquity|linuxrc \d|Starting (?:hardware detection|YaST)/i,
  },
  {
    step: 'setting up the network',
    fraction: 0.05,
    pattern: /Detecting network hardware|Configuring the network|Setting up the network/i,
  },
  {
    step: 'loading the installer',
    fraction: 0.1,
    pattern:
      /Loading additional components|Downloading Release files|Retrieving .*\.udeb|Setting up the installation environment|Loading Installation System/i,
  },
  {
    step: 'partitioning',
    fraction: 0.2,
    pattern:
      /Partitioning disks|Starting up the partitioner|Partitions formatting|Configuring storage|Creating (?:disk ?label|ext4|xfs)|curtin.*partition/i,
  },
  {
    step: 'installing the base system',
    fraction: 0.3,
    pattern:
      /Installing the base system|Starting package installation|Downloading \d+ RPMs|Preparing transaction|curtin.*extract|Installing Packages/i,
  },
  {
    step: 'installing packages',
    fraction: 0.6,
    pattern:
      /Select and install software|Installing [\w.+-]+ \(\d+\/\d+\)|Configuring apt\b|curtin.*curthooks/i,
  },
  {
    step: 'installing the boot loader',
    fraction: 0.9,
    pattern:
      /Installing GRUB|Installing boot ?loader|grub-install|Installing for i386-pc|x86_64-efi/i,
  },
  {
    step: 'finishing',
    fraction: 0.95,
    pattern:
      /Finishing the installation|Performing post-installation|Running post-installation|stub installer: done|running.*late_commands/i,
  },
  {
    step: 'shutting down',
    fraction: 0.98,
    pattern:
      /Requesting system poweroff|reboot: (?:Power down|Restarting|System halted)|The system is going down|Sent SIGKILL to all processes/i,
  },
]

/** The step after which the machine should end. */
export const LAST_STEP = 'shutting down'
