/**
 * What is cleaned: a table of tasks. `name` is what recipes say in `clean: {keep: […]}`; `what` and
 * `why` are shown to people and printed in docs. The order is the order of work: logs come last.
 *
 * Source: systemd's "Safely Building Images" (systemd.io/BUILDING_IMAGES), virt-sysprep(1),
 * `cloud-init clean`.
 */
import type { Remote } from '../remotes/remote.ts'
import { expandPath, findByPath, findFilled, type Leftover } from './_find-leftovers.ts'
import { findFirstBootKeys, snakeoilCertificate, sshHostKeys } from './_first-boot-keys.ts'

export type { Leftover } from './_find-leftovers.ts'

export interface CleanTask {
  name: string
  /** What it takes out, in a few words. */
  what: string
  /** Why that must not stay. */
  why: string
  /** Off unless asked for. */
  optional?: boolean
  /** What is left, with the way it is taken out. Changes nothing. */
  find(remote: Remote): Promise<Leftover[]>
}

const HOMES = ['/root', '/home/*']
const inHomes = (...names: string[]) =>
  HOMES.flatMap((home) => names.map((name) => `${home}/${name}`))

export const cleanTasks: readonly CleanTask[] = [
  {
    name: 'machine-id',
    what: 'machine id',
    why: 'DHCP servers, journals and licences take machines with one id for one machine',
    find: findMachineId,
  },
  {
    name: 'ssh-host-keys',
    what: 'SSH host keys',
    why: 'whoever has the image could pose as every machine made of it; new keys are made at first boot',
    find: (remote) => findFirstBootKeys(remote, sshHostKeys),
  },
  {
    name: 'certificates',
    what: 'self-signed certificates with their keys',
    why: 'as with SSH host keys; new ones are made at first boot',
    find: async (remote) => [
      ...(await findFirstBootKeys(remote, snakeoilCertificate)),
      ...(await findByPath([
        '/etc/pki/tls/private/localhost.key',
        '/etc/pki/tls/certs/localhost.crt',
      ])(remote)),
    ],
  },
  {
    name: 'random-seed',
    what: 'random seed',
    why: 'machines that start from one seed may make the same keys',
    find: findByPath([
      '/var/lib/systemd/random-seed',
      '/var/lib/systemd/credential.secret',
      '/var/lib/urandom/random-seed',
      '/var/lib/random-seed',
      '/boot/loader/random-seed',
      '/boot/efi/loader/random-seed',
      '/efi/loader/random-seed',
    ]),
  },
  {
    name: 'storage-ids',
    what: 'iSCSI and NVMe initiator name',
    why: 'storage takes machines with one initiator name for one machine',
    find: findStorageIds,
  },
  {
    name: 'enrolments',
    what: 'enrolment with a domain or a vendor',
    why: 'the machines made of the image would act in the name of one that was enrolled',
    find: findByPath([
      '/etc/krb5.keytab',
      '/var/lib/sss/db/*',
      '/var/lib/samba/private/secrets.tdb',
      '/etc/pki/consumer/*',
      '/etc/pki/entitlement/*',
      '/etc/sysconfig/rhn/systemid',
    ]),
  },
  {
    name: 'cloud-init',
    what: 'state of cloud-init',
    why: 'cloud-init would take the machine for one that it has set up already',
    find: findByPath(
      [
        '/var/lib/cloud/*',
        '/etc/netplan/50-cloud-init.yaml',
        '/etc/network/interfaces.d/50-cloud-init',
        '/etc/NetworkManager/system-connections/cloud-init-*.nmconnection',
        '/etc/systemd/network/10-cloud-init-*.network',
        '/etc/udev/rules.d/85-persistent-net-cloud-init.rules',
        '/etc/sudoers.d/90-cloud-init-users',
      ],
      // What the image's author put there on purpose.
      /^\/var\/lib\/cloud\/(seed|scripts)$/,
    ),
  },
  {
    name: 'leases',
    what: 'DHCP lease or network state',
    why: 'the machine would ask for the address of another one',
    find: findByPath(
      [
        '/var/lib/dhcp/*',
        '/var/lib/dhclient/*',
        '/var/lib/dhcpcd/*',
        '/var/lib/NetworkManager/*',
        '/var/lib/systemd/network/*',
      ],
      /\/NetworkManager-intern\.conf$/,
    ),
  },
  {
    name: 'network-rules',
    what: 'rules that tie names to network cards',
    why: 'the network cards of the next machine have other addresses and would get other names',
    find: findByPath([
      '/etc/udev/rules.d/70-persistent-net.rules',
      '/etc/udev/rules.d/70-persistent-cd.rules',
    ]),
  },
  {
    name: 'resolver',
    what: 'name servers of another network',
    why: 'the name servers of where the image was made are not those of where it runs',
    find: findResolver,
  },
  {
    name: 'package-caches',
    what: 'downloaded package',
    why: 'it takes room and is never used again',
    find: findByPath(
      [
        '/var/cache/apt/*.bin',
        '/var/cache/apt/archives/*',
        '/var/cache/apt/archives/partial/*',
        '/var/cache/dnf/*',
        '/var/cache/libdnf5/*',
        '/var/cache/yum/*',
        '/var/cache/zypp/*',
        '/var/cache/PackageKit/*',
      ],
      /^\/var\/cache\/apt\/archives\/(lock|partial)$/,
    ),
  },
  {
    name: 'package-lists',
    what: 'list of available packages',
    why: 'it takes room and is outdated when the image is used',
    find: findByPath(
      ['/var/lib/apt/lists/*', '/var/lib/apt/lists/partial/*', '/var/lib/apt/lists/auxfiles/*'],
      /^\/var\/lib\/apt\/lists\/(lock|partial|auxfiles)$/,
    ),
  },
  {
    name: 'history',
    what: 'history of a shell or a program',
    why: 'it tells what was typed, passwords too',
    find: findByPath(
      inHomes(
        '.bash_history',
        '.ash_history',
        '.sh_history',
        '.zsh_history',
        '.python_history',
        '.node_repl_history',
        '.mysql_history',
        '.psql_history',
        '.sqlite_history',
        '.lesshst',
        '.viminfo',
        '.wget-hsts',
        '.ssh/known_hosts',
        '.ssh/known_hosts.old',
      ),
    ),
  },
  {
    name: 'backups',
    what: 'backup of a file of accounts or packages',
    why: 'it holds accounts and passwords that are no more',
    find: findByPath([
      ...['passwd', 'shadow', 'group', 'gshadow', 'subuid', 'subgid'].map(
        (name) => `/etc/${name}-`,
      ),
      '/etc/.pwd.lock',
      ...['dpkg-old', 'dpkg-new', 'dpkg-tmp', 'ucf-old', 'rpmsave'].map((end) => `/etc/*.${end}`),
      '/var/lib/dpkg/*-old',
      '/var/cache/debconf/*-old',
      '/var/backups/*',
    ]),
  },
  {
    name: 'caches',
    what: 'cache that programs make anew',
    why: 'it is different in every build',
    find: findByPath([
      '/var/cache/ldconfig/aux-cache',
      '/var/cache/fontconfig/*',
      '/var/lib/systemd/timers/*',
      '/var/spool/anacron/*',
    ]),
  },
  {
    name: 'mail',
    what: 'mail',
    why: 'it is of another machine',
    find: findByPath(['/var/mail/*', '/var/spool/mail/*']),
  },
  {
    name: 'crash-dumps',
    what: 'crash dump',
    why: 'it takes room and may hold secrets',
    find: findByPath([
      '/var/crash/*',
      '/var/lib/systemd/coredump/*',
      '/var/lib/systemd/pstore/*',
      '/var/lib/apport/coredump/*',
      '/var/spool/abrt/*',
    ]),
  },
  {
    name: 'temporary-files',
    what: 'temporary file',
    why: 'it is of no use on another machine',
    find: findByPath(['/tmp/*', '/var/tmp/*']),
  },
  {
    name: 'hostname',
    what: 'host name',
    why: 'machines that get no name of their own would share this one',
    optional: true,
    find: async (remote) => {
      const name = (await remote.readText('/etc/hostname'))?.trim()
      const undo = () => remote.writeFile('/etc/hostname', 'localhost\n')
      return !name || name === 'localhost' ? [] : [{ path: '/etc/hostname', undo }]
    },
  },
  {
    name: 'authorized-keys',
    what: 'key that opens an account',
    why: 'whoever holds it could log in to every machine made of the image',
    optional: true,
    find: findByPath(inHomes('.ssh/authorized_keys', '.ssh/authorized_keys2')),
  },
  {
    name: 'logs',
    what: 'log',
    why: 'it is of another machine and grows the image',
    find: findLogs,
  },
]

/** Source: machine-id(5), "Initialization": an empty file is filled at first boot. */
async function findMachineId(remote: Remote): Promise<Leftover[]> {
  const found: Leftover[] = []
  const id = (await remote.readText('/etc/machine-id'))?.trim()
  if (id && id !== 'uninitialized')
    found.push({ path: '/etc/machine-id', undo: () => remote.writeFile('/etc/machine-id', '') })
  const dbus = '/var/lib/dbus/machine-id'
  if ((await remote.stat(dbus))?.type === 'file')
    found.push({ path: dbus, undo: () => remote.makeLink(dbus, '/etc/machine-id') })
  return found
}

/** Source: open-iscsi of Debian, which makes a name where the file says `GenerateName=yes`. */
async function findStorageIds(remote: Remote): Promise<Leftover[]> {
  const found = await findByPath(['/etc/nvme/hostnqn', '/etc/nvme/hostid'])(remote)
  const iscsi = '/etc/iscsi/initiatorname.iscsi'
  if (!/^InitiatorName=/m.test((await remote.readText(iscsi)) ?? '')) return found
  const { family } = await remote.facts()
  const undo = () => remote.writeFile(iscsi, 'GenerateName=yes\n', { mode: 0o600 })
  return [...found, { path: iscsi, undo: family === 'debian' ? undo : 'remove' }]
}

/** A link is left alone: systemd-resolved or NetworkManager keep what it points to. */
async function findResolver(remote: Remote): Promise<Leftover[]> {
  const path = '/etc/resolv.conf'
  if ((await remote.stat(path))?.type !== 'file') return []
  const text = (await remote.readText(path)) ?? ''
  return /^\s*(nameserver|search|domain)\s/m.test(text) ? [{ path, undo: 'truncate' }] : []
}

/** Rotated logs and the journal go; logs in use stay, with owner and mode, but empty. */
async function findLogs(remote: Remote): Promise<Leftover[]> {
  const whole = [
    ...(await expandPath(remote, '/var/log/journal/*')),
    ...(await expandPath(remote, '/var/log/installer')),
  ]
  const rest = (await findFilled(remote, '/var/log')).filter(
    (path) => !whole.some((top) => path === top || path.startsWith(`${top}/`)),
  )
  return [
    ...whole.map((path): Leftover => ({ path, undo: 'remove' })),
    ...rest.map((path): Leftover => ({
      path,
      undo: /\.(gz|xz|bz2|zst|old|\d+)$|-\d{8}$/.test(path) ? 'remove' : 'truncate',
    })),
  ]
}
