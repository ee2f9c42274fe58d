import { isBefore, isOldAnaconda } from '../answer-place.ts'
import { type AnswerInput, keyCommands } from './answer-input.ts'

/**
 * An answer file for anaconda: one root partition, the smallest system with sshd, power off.
 * Source: the kickstart documentation of Fedora and of Red Hat Enterprise Linux 5 to 10, and pykickstart's commands, by release:
 * a word that a release does not know stops it.
 */
export function makeKickstart(input: AnswerInput): string {
  const { tree, device, firmware, os } = input
  const disk = device.replace(/^\/dev\//, '')
  const isOld = isOldAnaconda(os)
  const before = (fedora: string, rhel: string) => isBefore(os, { fedora, rhel })
  const [hasEnds, hasReqpart] = [!before('8', '6'), !before('23', '7')]
  const end = hasEnds ? ['%end'] : []
  const post = keyCommands('', input.authorizedKey)
  return `${[
    '# Made by Ingot.',
    ...(isOld ? ['install'] : []),
    tree === undefined ? 'cdrom' : `url --url="${tree.href}"`,
    'text',
    ...(before('20', '7') ? [] : ['eula --agreed']),
    'lang en_US.UTF-8',
    isOld ? 'keyboard us' : 'keyboard --vckeymap=us',
    'timezone --utc UTC',
    'network --bootproto=dhcp --onboot=yes',
    `rootpw --iscrypted ${input.passwordHash}`,
    // Later ones choose a profile themselves; what it is called has changed.
    ...(before('28', '8') ? ['authconfig --enableshadow --passalgo=sha512'] : []),
    'selinux --enforcing',
    before('10', '6') ? 'firewall --enabled --ssh' : 'firewall --service=ssh',
    'services --enabled=sshd',
    `ignoredisk --only-use=${disk}`,
    'zerombr',
    `clearpart --all --initlabel --drives=${disk}`,
    `bootloader --location=mbr --append="console=tty0 console=ttyS0"`,
    ...(hasReqpart ? ['reqpart'] : []), // what the firmware needs: an EFI system or a BIOS boot partition
    ...(!hasReqpart && firmware === 'uefi'
      ? [`part /boot/efi --fstype=${isOld ? 'vfat' : 'efi'} --size=200`]
      : []),
    `part / --fstype=${rootOf(os)} --size=2048 --grow --ondisk=${disk}`,
    'poweroff',
    '',
    '%packages',
    '@core',
    'openssh-server',
    ...end,
    ...(post.length === 0 ? [] : ['', '%post', ...post, ...end]),
  ].join('\n')}\n`
}

/** The file system of the root, as the release has it. */
function rootOf(os: AnswerInput['os']): string {
  if (isBefore(os, { fedora: '11', rhel: '6' })) return 'ext3'
  return isOldAnaconda(os) ? 'ext4' : 'xfs'
}
