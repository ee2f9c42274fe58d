import { type Cause, RULES } from './_boot-clues.ts'
import type { BootTimeline } from './boot-timeline.ts'

export type { Cause } from './_boot-clues.ts'

/** The likely cause of a failed boot. */
export interface Diagnosis {
  readonly cause: Cause
  /** Lines of the console, or what was seen otherwise, that show it. */
  readonly evidence: readonly string[]
  /** What to look at first. */
  readonly hint: string
}

/** What is known beside the console. */
export interface BootFacts {
  /** How the machine ended by itself, if it did. */
  ended?: string | undefined
  /** How often the guest reset the machine. */
  resets: number
  /** How the last attempt to log in failed, and what ssh said. */
  ssh?: { outcome: 'no-answer' | 'refused'; said: string } | undefined
  /** Errors in cloud-init's own report. */
  cloudInitErrors?: readonly string[] | undefined
}

/** A guest that resets the machine this often is not going to boot. */
export const MAX_RESETS = 3

const HINTS: Readonly<Record<Cause, string>> = {
  'no-bootable-device':
    'The firmware found nothing to boot. Is there a boot loader for it: a boot sector and a BIOS boot partition for BIOS, \\EFI\\BOOT\\BOOTX64.EFI on an EFI system partition for UEFI? The other --firmware may work.',
  'bootloader-stopped':
    'The boot loader found no configuration, kernel or partition. Compare the root it searches (UUID, label) with the file systems of the image, and run update-grub in it.',
  'kernel-did-not-start':
    'The boot loader handed over, but no kernel spoke on the serial console. Add console=ttyS0 to the kernel’s arguments to see it; the screenshot may show more.',
  'cpu-too-old':
    'The guest’s programs want a newer processor than this machine has. Use KVM on a newer host, or --cpu max.',
  'out-of-memory': 'The guest ran out of memory. Give it more with --memory.',
  'root-not-found':
    'The kernel did not find the root file system. Compare root= on its command line with the image’s UUIDs and labels, and see that the initramfs has the drivers (virtio_blk, the file system).',
  'init-not-found':
    'The root file system was mounted but has no init that runs. Is it the right one, and are its libraries whole?',
  'kernel-panic': 'The kernel panicked. The lines before it say why.',
  'emergency-mode':
    'systemd gave up: a file system of /etc/fstab could not be mounted, or a unit that the boot needs failed. Correct fstab or add nofail.',
  'file-system-damaged': 'A file system of the image is damaged. Check it offline: fsck.',
  'no-space':
    'The guest’s disk is full. Make the image larger, or let its root grow on first boot.',
  'unit-failed': 'A service failed; its journal says why.',
  'unit-hangs': 'A service does not finish starting and holds up the boot.',
  'network-down':
    'The guest has no network. Is an interface configured for any name (en*, eth*), is DHCP on, is the driver (virtio_net) there?',
  'cloud-init-failed': 'cloud-init met errors: see /var/log/cloud-init.log in the guest.',
  'cloud-init-no-seed':
    'cloud-init runs but took nothing from the NoCloud seed. Is NoCloud in its datasource_list (/etc/cloud/cloud.cfg.d)?',
  'cloud-init-unfinished':
    'cloud-init did not finish in time. A script of it may wait, or the time is too short (--timeout).',
  'ssh-not-started':
    'Nobody answers on port 22. Is openssh-server installed and enabled, and are host keys made on first boot?',
  'ssh-key-refused':
    'sshd runs but refuses the injected key. Did cloud-init make the user, and does sshd_config allow public keys?',
  'boot-loop': 'The guest resets the machine again and again before it is up.',
  'machine-ended': 'The machine ended before the guest was up.',
  'silent-console':
    'Nothing came on the serial console after the firmware. The boot loader hangs, or the guest does not use the console (console=ttyS0 on the kernel’s command line); the screenshot shows the screen.',
  'boot-stalled':
    'The boot stopped before the init system ran. The last lines and the screenshot show where; an emulated guest may only need more time (--timeout).',
  'no-login-prompt':
    'No login prompt came in time. Is a getty enabled on ttyS0 (serial-getty@ttyS0), or is the time too short (--timeout)?',
}

/**
 * The likely cause of a boot that did not come as far as wanted: what the console shows for sure,
 * then what is known otherwise, then what the console hints at, then how far the boot came.
 */
export function diagnoseBoot(timeline: BootTimeline, facts: BootFacts): Diagnosis {
  const { clues } = timeline
  const believe = (fatal: boolean): Diagnosis | undefined => {
    const rule = RULES.find(({ cause }) =>
      clues.some((clue) => clue.cause === cause && clue.fatal === fatal),
    )
    return rule && toDiagnosis(rule.cause, linesOf(rule.cause, timeline))
  }
  return believe(true) ?? fromFacts(timeline, facts) ?? believe(false) ?? fromStage(timeline, facts)
}

function linesOf(cause: Cause, timeline: BootTimeline): string[] {
  const about = (wanted: Cause) =>
    timeline.clues.filter((clue) => clue.cause === wanted).map(({ line }) => line)
  // What made systemd give up stands in the units that failed before.
  return cause === 'emergency-mode' ? [...about('unit-failed'), ...about(cause)] : about(cause)
}

function fromFacts(timeline: BootTimeline, facts: BootFacts): Diagnosis | undefined {
  if (facts.resets >= MAX_RESETS)
    return toDiagnosis('boot-loop', [`${facts.resets} resets`, ...timeline.tail(5)])
  if (facts.ended !== undefined)
    return toDiagnosis('machine-ended', [facts.ended, ...timeline.tail(5)])
  if (facts.ssh?.outcome === 'refused') {
    const unseeded = linesOf('cloud-init-no-seed', timeline)
    return unseeded.length > 0
      ? toDiagnosis('cloud-init-no-seed', unseeded)
      : toDiagnosis('ssh-key-refused', [facts.ssh.said])
  }
  if (facts.cloudInitErrors !== undefined && facts.cloudInitErrors.length > 0)
    return toDiagnosis('cloud-init-failed', facts.cloudInitErrors)
  return undefined
}

/** When nothing looked wrong: what should have come after the last stage that was reached. */
function fromStage(timeline: BootTimeline, { ssh }: BootFacts): Diagnosis {
  const last = timeline.tail(5)
  if (timeline.has('login')) {
    if (ssh === undefined) return toDiagnosis('cloud-init-unfinished', last)
    const cause =
      timeline.has('ssh') && !timeline.has('network') ? 'network-down' : 'ssh-not-started'
    return toDiagnosis(cause, [ssh.said])
  }
  if (timeline.has('init')) return toDiagnosis('no-login-prompt', last)
  if (timeline.has('kernel') || timeline.has('initramfs')) return toDiagnosis('boot-stalled', last)
  if (timeline.has('bootloader')) return toDiagnosis('kernel-did-not-start', last)
  return toDiagnosis('silent-console', last)
}

function toDiagnosis(cause: Cause, evidence: readonly string[]): Diagnosis {
  return { cause, evidence: evidence.slice(0, 10), hint: HINTS[cause] }
}
