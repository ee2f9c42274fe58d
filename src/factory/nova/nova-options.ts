import { Type } from '../../schema/type.ts'

/** Parameters of the builder `nova`. Things of the cloud are named by id or name. */
export interface NovaOptions {
  readonly cloud?: string
  readonly source_image?: string
  readonly installer_image?: string
  readonly installer_iso?: string
  readonly install_script?: string
  readonly inactivity?: number
  readonly flavor?: string
  readonly disk_size?: number
  readonly boot_from_volume?: boolean
  readonly availability_zone?: string
  readonly config_drive?: boolean
  readonly network?: string
  readonly security_group?: string
  readonly request_floating_ip?: boolean
  readonly floating_network?: string
  readonly default_user?: string
  readonly ssh_port?: number
  readonly command_prefix?: 'sudo' | 'none'
  readonly keypair?: string
  readonly private_key?: string
  readonly user_data?: string
  readonly arguments?: Readonly<Record<string, string>>
  readonly generate_icicle?: boolean
  readonly clean?: boolean
  readonly keep_on_failure?: boolean
  readonly result?: 'cloud' | 'store' | 'both'
  readonly image_name?: string
  readonly image_properties?: Readonly<Record<string, string>>
  readonly visibility?: 'private' | 'shared' | 'community' | 'public'
  readonly public?: boolean
}

const text = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 255, description }))
const longText = (description: string, secret = false) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 48 * 1024, description, secret }))
const flag = (description: string) => Type.Optional(Type.Boolean({ description }))
const oneOf = (values: readonly string[], description: string) =>
  Type.Optional(
    Type.Union(
      values.map((value) => Type.Literal(value)),
      { description },
    ),
  )
const texts = (description: string) =>
  Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 4096 }), { description }))

/** Shape of the parameters. Names are Image Factory's where it has them. */
export const novaOptions = Type.Object(
  {
    cloud: text('the cloud, by its name in clouds.yaml. Default: the one that OS_… variables mean'),
    source_image: text(
      'an image of the cloud that has a system in it already: nothing is installed, the template is carried out in it',
    ),
    installer_image: text(
      'an image of the cloud whose disk boots into an installer that runs in memory and installs onto that same disk; install_script is its user data',
    ),
    installer_iso: text(
      'an installer’s ISO, an image of the cloud; needs the volume service. Default: the one that the template names, brought into the cloud for the build',
    ),
    install_script: longText(
      'the answer file (preseed, kickstart, autoinstall), handed to the installer as user data; it has to power off at its end',
      true,
    ),
    inactivity: Type.Optional(
      Type.Integer({
        minimum: 30,
        maximum: 86_400,
        description:
          'seconds without disk, network and console before an installer is given up. Default: 1800',
      }),
    ),
    flavor: text('of the instances. Default: the smallest that the image fits on'),
    disk_size: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_536,
        description:
          'GiB of the volume, where one is used. Default: what the template says, else that of the flavor',
      }),
    ),
    boot_from_volume: flag('whether the disk is a volume. Default: false'),
    availability_zone: text('where the instances run. Default: the cloud’s choice'),
    config_drive: flag(
      'whether instances get their data on a disc too. Default: the cloud’s choice',
    ),
    network: text(
      'the network of the instances. Default: the only one that is not external, else the only one',
    ),
    security_group: text('must let SSH in. Default: one is made for the build'),
    request_floating_ip: flag(
      'whether the instance is reached by a floating address. Default: false',
    ),
    floating_network: text('where that comes from. Default: the only external one'),
    ssh_port: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description: 'where the image answers SSH. Default: 22',
      }),
    ),
    default_user: text(
      'whom the image lets in. Default: as cloud images of the system have it (debian, fedora, …)',
    ),
    command_prefix: oneOf(
      ['sudo', 'none'],
      'how that user becomes root. Default: sudo, unless it is root',
    ),
    keypair: text('a keypair of the cloud, with private_key. Default: one is made for the build'),
    private_key: longText(
      'the private half of keypair, as OpenSSH writes it, without a passphrase',
      true,
    ),
    user_data: longText('user data of the instance in which the template is carried out', true),
    arguments: texts('values of the recipe’s arguments'),
    generate_icicle: flag('whether the packages of the image are recorded. Default: true'),
    clean: flag('whether what machines must not share is taken out at the end. Default: true'),
    keep_on_failure: flag(
      'whether a build that fails leaves its instances and all that it made in the cloud, to be looked at. Default: false',
    ),
    result: oneOf(
      ['cloud', 'store', 'both'],
      'where the image is kept: in the cloud, in the local store (from which other clouds are served), or both. Default: both',
    ),
    image_name: text('of the image in the cloud. Default: that of the template'),
    image_properties: texts('properties of the image in the cloud'),
    visibility: oneOf(
      ['private', 'shared', 'community', 'public'],
      'of the image in the cloud. Default: the cloud’s',
    ),
    public: flag('as visibility: public'),
  },
  { additionalProperties: false },
)
