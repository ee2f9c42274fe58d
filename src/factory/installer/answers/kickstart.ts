import { isOldAnaconda } from '../answer-place.ts'
import { type AnswerInput, keyCommands } from './answer-input.ts'

/**
 * An answer file for anaconda: one root partition, the smallest system with sshd, power off.
 * Source: the kickstart documentation of Fedora and of Red Hat Enterprise Linux 5 to 10.
 */
export function makeKickstart(input: AnswerInput): string {
  const { tree, device, firmware, os } = input
  const disk = device.replace(/^\/dev\//, '')
  const isOld = isOldAnaconda(os)
  const post = keyCommands('', input.authorizedKey)
  return `${[
    '# Made by Ingot.',
    ...(isOld ? ['install'] : []),
    tree === undefined ? 'cdrom' : `url --url="${tree.href}"`,
    'text',
    ...(isOld ? [] : ['eula --agreed']),
    'lang en_US.UTF-8',
    isOld ? 'keyboard us' : 'keyboard --vckeymap=us',
    'timezone --utc UTC',
    'network --bootproto=dhcp --onboot=yes',
    `rootpw --iscrypted ${input.passwordHash}`,
    isOld ? 'authconfig --enableshadow --passalgo=sha512' : 'authselect select minimal',
    'selinux --enforcing',
    'firewall --service=ssh',
    'services --enabled=sshd',
    `ignoredisk --only-use=${disk}`,
    'zerombr',
    `clearpart --all --initlabel --drives=${disk}`,
    `bootloader --location=mbr --append="console=tty0 console=ttyS0"`,
    ...(isOld ? [] : ['reqpart']), // what the firmware needs: an EFI system or a BIOS boot partition
    ...(isOld && firmware === 'uefi' ? ['part /boot/efi --fstype=vfat --size=100'] : []),
    `part / --fstype=${isOld ? 'ext4' : 'xfs'} --size=2048 --grow --ondisk=${disk}`,
    'poweroff',
    '',
    '%packages',
    '@core',
    'openssh-server',
    ...(isOld ? [] : ['%end']),
    ...(post.length === 0 ? [] : ['', '%post', ...post, ...(isOld ? [] : ['%end'])]),
  ].join('\n')}\n`
}
