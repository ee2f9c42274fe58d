import { DISK_BUSES, NIC_MODELS } from '../../machines/machine.ts'
import type { DiskBus, NicModel } from '../../machines/machine.ts'
import { Type } from '../../schema/type.ts'
import type { GivenLimits } from './watch-limits.ts'

export const ANSWER_WAYS = ['initrd', 'http', 'disc'] as const
export type AnswerWay = (typeof ANSWER_WAYS)[number]

/** Parameters of the builder `installer`. */
export interface InstallerOptions {
  readonly install_script?: string
  readonly answer_via?: AnswerWay
  readonly kernel_url?: string
  readonly initrd_url?: string
  readonly kernelparam?: string
  readonly firmware?: 'bios' | 'uefi'
  readonly accelerator?: 'auto' | 'kvm' | 'tcg'
  readonly disk_bus?: DiskBus
  readonly nic_model?: NicModel
  readonly memory?: number
  readonly cpus?: number
  readonly network?: 'open' | 'isolated'
  readonly customize?: 'offline' | 'online'
  readonly trusted?: boolean
  readonly clean?: boolean
  readonly generate_icicle?: boolean
  readonly offline_icicle?: boolean
  readonly use_jeos_cache?: boolean
  readonly timeouts?: GivenLimits
  readonly oz_overrides?: string | Readonly<Record<string, unknown>>
  readonly arguments?: Readonly<Record<string, string>>
}

const oneOf = (values: readonly string[], description: string) =>
  Type.Optional(
    Type.Union(
      values.map((value) => Type.Literal(value)),
      { description },
    ),
  )
const text = (description: string) => Type.Optional(Type.String({ description }))
const secretText = (description: string) =>
  Type.Optional(Type.String({ description, secret: true, maxLength: 1_048_576 }))
const flag = (description: string) => Type.Optional(Type.Boolean({ description }))
const seconds = (description: string) =>
  Type.Optional(Type.Integer({ description, minimum: 1, maximum: 604_800 }))

/** Shape of the parameters. Names are Image Factory's and Oz's where they have one. */
export const installerOptions = Type.Object(
  {
    // It often holds passwords.
    install_script: secretText(
      "the answer file (preseed, kickstart, autoinstall, AutoYaST, Windows unattend); used as it is, so the template's root password is not put into it. Default: one of Ingot's own",
    ),
    answer_via: oneOf(
      ANSWER_WAYS,
      'how the installer gets its answer file: in its initrd, over HTTP from Ingot (which nobody but this guest can ask), or on a disc. Default: what the installer knows',
    ),
    kernel_url: text(
      "the installer's kernel, instead of the one that its install tree should have",
    ),
    initrd_url: text("the installer's initrd; with kernel_url"),
    kernelparam: text("appended to the installer's command line, after the template's own"),
    firmware: oneOf(['bios', 'uefi'], 'firmware of the machine. Default: bios'),
    accelerator: oneOf(['auto', 'kvm', 'tcg'], 'how the processor is made. Default: auto'),
    disk_bus: oneOf(DISK_BUSES, 'how the disk is connected. Default: virtio; sata for Windows'),
    nic_model: oneOf(NIC_MODELS, 'the network card. Default: virtio; e1000e for Windows'),
    memory: Type.Optional(
      Type.Integer({ description: 'MiB. Default: what the installer needs', minimum: 64 }),
    ),
    cpus: Type.Optional(Type.Integer({ description: 'Default: 2', minimum: 1, maximum: 64 })),
    network: oneOf(
      ['open', 'isolated'],
      'whether the guest reaches the network, as guest_network of the configuration says; isolated installers need everything on their medium. Default: open',
    ),
    customize: oneOf(
      ['offline', 'online'],
      'how the template is carried out: in the installed disk without booting it, or over SSH in the booted system, as Oz does it. Default: offline',
    ),
    trusted: flag(
      'whether this host may mount the installed disk itself, which is faster than the appliance. Default: false',
    ),
    clean: flag(
      'whether what machines must not share is taken out at the end (machine id, host keys, logs). Default: true',
    ),
    generate_icicle: flag('whether the packages of the image are recorded. Default: true'),
    offline_icicle: flag(
      'after customize: online: whether the packages are read from the disk, instead of asked in the booted guest; not where the template has a command for them. Default: false',
    ),
    use_jeos_cache: flag(
      'whether an installed disk is kept, and taken by the next build that gives the installer the very same. Default: false',
    ),
    timeouts: Type.Optional(
      Type.Object(
        {
          boot: seconds('until the installer shows life. Default: 300'),
          install: seconds('for the whole installation. Default: 3600'),
          inactivity: seconds('without disk, network and console. Default: 300'),
          prompt: seconds('after a prompt that nobody answers. Default: 8'),
          shutdown: seconds('until it is off. Default: 120'),
          ssh: seconds('until the installed system answers SSH. Default: 300'),
        },
        {
          description:
            'seconds; defaults but that of prompt are six times as long without KVM. Also of phases, by their names',
        },
      ),
    ),
    oz_overrides: Type.Optional(
      Type.Union([Type.String(), Type.Record(Type.String(), Type.Unsafe({}))], {
        description:
          'settings of oz.cfg, as JSON: libvirt (cpus, memory), timeouts, cache (jeos) are followed, others told in the log',
      }),
    ),
    arguments: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: "values of the recipe's arguments",
      }),
    ),
  },
  { additionalProperties: false },
)
