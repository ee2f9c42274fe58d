/** What is said of an image for libvirt, and of the daemon it goes to. */
import type { Static } from 'typebox'
import { Type } from '../../schema/type.ts'

/** No option of virsh's, no path, nothing that means anything to XML. */
const NAME = '^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$'
const name = (description: string) => Type.Optional(Type.String({ pattern: NAME, description }))

export const libvirtOptionsSchema = Type.Object(
  {
    libvirt_format: Type.Optional(
      Type.Union([Type.Literal('raw'), Type.Literal('qcow2'), Type.Literal('qcow2-zlib')], {
        description: 'of the volume; default qcow2; raw for pools that are no directories',
      }),
    ),
    libvirt_volume: name('name of the volume; default: the template’s, and the image’s id'),
    libvirt_define: Type.Optional(
      Type.Boolean({ description: 'define a machine with the volume as its disk; default false' }),
    ),
    libvirt_name: name('name of the machine; default: that of the volume, without its ending'),
    libvirt_memory_mb: Type.Optional(
      Type.Integer({
        minimum: 16,
        maximum: 16_777_216,
        description: 'MiB of memory; default 1024',
      }),
    ),
    libvirt_cpu_count: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 710, description: 'processors; default 1' }),
    ),
    libvirt_firmware: Type.Optional(
      Type.Union([Type.Literal('bios'), Type.Literal('efi')], { description: 'default bios' }),
    ),
    libvirt_domain_type: Type.Optional(
      Type.Union([Type.Literal('kvm'), Type.Literal('qemu')], {
        description: 'default kvm; qemu emulates',
      }),
    ),
    libvirt_network: name('the network of the machine; default default; none: it has no card'),
  },
  { additionalProperties: false },
)
export type LibvirtOptions = Static<typeof libvirtOptionsSchema>

export const libvirtProviderSchema = Type.Object(
  {
    uri: Type.Optional(
      Type.String({
        // A daemon of this host only: addresses of others may name programs to be run.
        pattern: '^qemu:///(system|session)(\\?socket=/[A-Za-z0-9/._-]{1,200})?$',
        description:
          'the daemon of this host; default qemu:///system; for configured providers only',
      }),
    ),
    pool: name('the storage pool; default default'),
  },
  { additionalProperties: false },
)
export type LibvirtProviderOptions = Static<typeof libvirtProviderSchema>
