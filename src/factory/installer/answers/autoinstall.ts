import type { AnswerInput } from './answer-input.ts'

/**
 * An answer file for subiquity (Ubuntu from 20.10): cloud-config with `autoinstall`; JSON is YAML. One root partition,
 * sshd, power off. The key is always put into root's account, since the installer's own user is locked.
 * Source: the autoinstall reference manual.
 */
export function makeAutoinstall(input: AnswerInput): string {
  const { passwordHash, device, authorizedKey, tree } = input
  const autoinstall = {
    version: 1,
    locale: 'en_US.UTF-8',
    keyboard: { layout: 'us' },
    ...(tree && { apt: { primary: [{ arches: ['default'], uri: tree.href }] } }),
    // An installer of the network is not waited for.
    'refresh-installer': { update: false },
    storage: { layout: { name: 'direct', match: { path: device } }, swap: { size: 0 } },
    ssh: { 'install-server': true, 'allow-pw': false },
    'user-data': {
      disable_root: false,
      users: [
        {
          name: 'root',
          lock_passwd: false,
          hashed_passwd: passwordHash,
          ...(authorizedKey !== undefined && { ssh_authorized_keys: [authorizedKey] }),
        },
      ],
    },
    updates: 'security',
    shutdown: 'poweroff',
  }
  return `#cloud-config\n${JSON.stringify({ autoinstall }, undefined, 2)}\n`
}
