/** What an installation is made of, decided before anything is fetched. */
import { createHash, randomBytes } from 'node:crypto'
import { Failure } from '../../base/failure.ts'
import { GiB, MiB } from '../../base/units.ts'
import type { DiskBus, NicModel } from '../../machines/machine.ts'
import type { InstallPlan as TemplatePlan, OsName, Template } from '../template.ts'
import { type AnswerPlace, placeAnswer } from './answer-place.ts'
import { sha512Crypt } from './answers/sha512-crypt.ts'
import { makeStockAnswer } from './answers/stock-answer.ts'
import { findInstallSystem, type InstallSystem } from './install-systems.ts'
import type { InstallerOptions } from './installer-options.ts'

export interface Installation {
  readonly system: InstallSystem
  readonly os: OsName
  readonly source: TemplatePlan['source']
  readonly answer: AnswerPlace
  /** For the kernel; what the media add is not in it. */
  readonly words: readonly string[]
  /** Bytes. */
  readonly diskSize: number
  readonly memory: number
  readonly cpus: number
  readonly bus: DiskBus
  readonly nic: NicModel
  readonly firmware: 'bios' | 'uefi'
  readonly network: 'open' | 'isolated'
  /** What must not be shown. */
  readonly secrets: readonly string[]
  /** Names all that was decided; what is random in it (salt, made-up password, address) left out. */
  readonly key: string
}

export interface PlanOrder {
  readonly template: Template
  readonly options: InstallerOptions
  /** For who will customise the booted system; put into a stock answer file. */
  readonly authorizedKey?: string | undefined
}

/** What Linux calls the first disk of each. */
const DEVICES: Readonly<Record<DiskBus, string>> = {
  virtio: '/dev/vda',
  scsi: '/dev/sda',
  sata: '/dev/sda',
  ide: '/dev/sda',
  sd: '/dev/mmcblk0',
}
const DEFAULT_DISK_SIZE = 10 * GiB

/** Fails with TEMPLATE_INVALID, REQUEST_INVALID. */
export function planInstallation({ template, options, authorizedKey }: PlanOrder): Installation {
  const { os, install } = template
  if (os === undefined || install === undefined)
    throw new Failure('TEMPLATE_INVALID', 'it does not say what is to be installed (os, install)')
  const system = findInstallSystem(os)
  if ((options.kernel_url === undefined) !== (options.initrd_url === undefined))
    throw new Failure(
      'REQUEST_INVALID',
      'kernel_url and initrd_url are given together or not at all',
    )
  const { disk_bus: bus = system.bus ?? 'virtio', nic_model: nic = system.nic ?? 'virtio' } =
    options
  const firmware = options.firmware ?? 'bios'
  const password = install.rootPassword ?? randomBytes(18).toString('base64url')
  const passwordHash = sha512Crypt(password, randomBytes(12).toString('hex'))
  const answerWith = (hash: string, clear: string) =>
    options.install_script ??
    makeStockAnswer(system.answer, {
      os,
      tree: install.source.type === 'url' ? new URL(install.source.url) : undefined,
      passwordHash: hash,
      password: clear,
      device: DEVICES[bus],
      firmware,
      productKey: install.productKey,
      authorizedKey,
    })
  const token = randomBytes(24).toString('base64url')
  const place = (hash: string, clear: string, at: string) =>
    placeAnswer(system, os, answerWith(hash, clear), options.answer_via, at)
  const answer = place(passwordHash, password, token)
  // QEMU names no name server to a guest that reaches nobody, and debian-installer asks for one then. This one refuses
  // at once what others would let time out.
  const isAlone = options.network === 'isolated' && system.answer === 'preseed'
  const nameServer = isAlone ? 'netcfg/get_nameservers=127.0.0.1' : null
  const words = [nameServer, install.kernelParameters, options.kernelparam].flatMap((line) =>
    (line ?? '').split(/\s+/).filter(Boolean),
  )
  const machine = {
    diskSize: install.diskSize > 0 ? install.diskSize : DEFAULT_DISK_SIZE,
    memory: (options.memory ?? system.memory) * MiB,
    cpus: options.cpus ?? 2,
    bus,
    nic,
    firmware,
    network: options.network ?? 'open',
  } as const
  const inputs = {
    answer: place('', install.rootPassword ?? '', '').files.map(({ content }) =>
      content.toString(),
    ),
    password: install.rootPassword,
    os,
    words,
    machine,
    source: install.source,
    way: answer.way,
  }
  const key = createHash('sha256').update(JSON.stringify(inputs)).digest('hex')
  const secrets = [
    password,
    passwordHash,
    token,
    ...(install.productKey ? [install.productKey] : []),
  ]
  return { system, os, source: install.source, answer, words, ...machine, secrets, key }
}

/** The kernel's command line. What was asked for stands last, where it wins. */
export function commandLineOf({ answer, words }: Installation, more: readonly string[]): string {
  return ['console=tty0', 'console=ttyS0', ...answer.words, ...more, ...words].join(' ')
}
