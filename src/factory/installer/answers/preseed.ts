import { type AnswerInput, keyCommands } from './answer-input.ts'

/**
 * An answer file for debian-installer: one partition on the whole disk, the standard system with sshd, power off.
 * Source: the example preseed of Debian's installation guide, appendix B; that of Ubuntu up to 20.04.
 */
export function makePreseed(input: AnswerInput): string {
  const { os, tree, device, firmware } = input
  const isUbuntu = /^ubuntu$/i.test(os.name)
  const late = keyCommands('/target', input.authorizedKey)
  return `${[
    '# Made by Ingot.',
    'd-i debian-installer/locale string en_US.UTF-8',
    'd-i keyboard-configuration/xkb-keymap select us',
    'd-i console-setup/ask_detect boolean false',
    'd-i netcfg/choose_interface select auto',
    'd-i netcfg/get_hostname string localhost',
    'd-i netcfg/get_domain string localdomain',
    'd-i hw-detect/load_firmware boolean false',
    ...mirrorOf(tree, isUbuntu),
    'd-i clock-setup/utc boolean true',
    'd-i clock-setup/ntp boolean false',
    'd-i time/zone string UTC',
    'd-i passwd/root-login boolean true',
    `d-i passwd/root-password-crypted password ${input.passwordHash}`,
    'd-i passwd/make-user boolean false',
    'd-i user-setup/allow-password-weak boolean true',
    `d-i partman-auto/disk string ${device}`,
    'd-i partman-auto/method string regular',
    'd-i partman-auto/choose_recipe select atomic',
    // One root file system and no swap: clouds make disks larger, and a swap partition at the end is in the way.
    `d-i partman-auto/expert_recipe string root :: ${firmware === 'uefi' ? EFI_PARTITION : ''}${ROOT_PARTITION}`,
    ...(firmware === 'uefi' ? ['d-i grub-installer/force-efi-extra-removable boolean true'] : []),
    'd-i partman-basicfilesystems/no_swap boolean false',
    'd-i partman-partitioning/confirm_write_new_label boolean true',
    'd-i partman-efi/non_efi_system boolean true',
    'd-i partman/choose_partition select finish',
    'd-i partman/confirm boolean true',
    'd-i partman/confirm_nooverwrite boolean true',
    'd-i apt-setup/cdrom/set-first boolean false',
    'd-i apt-setup/enable-source-repositories boolean false',
    'tasksel tasksel/first multiselect standard',
    `d-i pkgsel/include string openssh-server${isUbuntu ? '' : ' cloud-guest-utils'}`,
    'd-i pkgsel/upgrade select none',
    'd-i pkgsel/update-policy select none',
    'popularity-contest popularity-contest/participate boolean false',
    'd-i grub-installer/only_debian boolean true',
    `d-i grub-installer/bootdev string ${device}`,
    'd-i debian-installer/add-kernel-opts string console=tty0 console=ttyS0',
    ...(late.length > 0 ? [`d-i preseed/late_command string ${late.join('; ')}`] : []),
    'd-i finish-install/reboot_in_progress note',
    'd-i debian-installer/exit/poweroff boolean true',
  ].join('\n')}\n`
}

const EFI_PARTITION = '100 100 100 free $iflabel{ gpt } $reusemethod{ } method{ efi } format{ } . '
const ROOT_PARTITION =
  '1000 10000 -1 ext4 $primary{ } $bootable{ } method{ format } format{ } use_filesystem{ } filesystem{ ext4 } mountpoint{ / } .'

function mirrorOf(tree: URL | undefined, isUbuntu: boolean): string[] {
  if (tree === undefined) return ['d-i apt-setup/use_mirror boolean false']
  const protocol = tree.protocol === 'https:' ? 'https' : 'http'
  const directory = tree.pathname.replace(/\/dists(?:\/.*)?$/, '').replace(/\/$/, '') || '/'
  const suite = /\/dists\/([\w.-]+)/.exec(tree.pathname)?.[1]
  return [
    'd-i mirror/country string manual',
    `d-i mirror/protocol select ${protocol}`,
    `d-i mirror/${protocol}/hostname string ${tree.host}`,
    `d-i mirror/${protocol}/directory string ${directory}`,
    `d-i mirror/${protocol}/proxy string`,
    ...(suite === undefined ? [] : [`d-i mirror/suite string ${suite}`]),
    ...(isUbuntu ? [] : ['d-i apt-setup/services-select multiselect updates']),
  ]
}
