/** What is said of a machine that is handed out with its disk; upstream's names are known too. */
import type { Static } from 'typebox'
import { Type } from '../../schema/type.ts'

const text = (description: string, maxLength = 255) =>
  Type.Optional(Type.String({ minLength: 1, maxLength, description }))
const flag = (description: string) => Type.Optional(Type.Boolean({ description }))
const upstream = (of: string) => text(`${of}, of the vsphere forms (upstream)`)
const fusion = (of: string) => text(`${of}, of boxes for VMware (upstream)`)

export const OVA_FORMS = [
  'vmware',
  'virtualbox',
  'vagrant-libvirt',
  'vagrant-virtualbox',
  'vagrant-vmware',
  'vagrant-hyperv',
] as const
export type OvaForm = (typeof OVA_FORMS)[number]

export const ovaOptionsSchema = Type.Object(
  {
    ova_form: Type.Optional(
      Type.Unsafe<OvaForm>({
        ...Type.Union(OVA_FORMS.map((form) => Type.Literal(form))),
        description:
          'vmware (default) or virtualbox: an OVA; vagrant-…: a Vagrant box for that provider',
      }),
    ),
    vsphere_ova_format: Type.Optional(
      Type.Union(
        [
          Type.Literal('vsphere'),
          Type.Literal('vagrant-virtualbox'),
          Type.Literal('vagrant-vmware-fusion'),
        ],
        { description: 'upstream’s word for some of the forms' },
      ),
    ),
    rhevm_ova_format: Type.Optional(
      Type.Union([Type.Literal('vagrant-libvirt')], {
        description: 'upstream’s word for that form',
      }),
    ),
    hyperv_ova_format: Type.Optional(
      Type.Union([Type.Literal('hyperv-vagrant')], {
        description: 'upstream’s word for vagrant-hyperv',
      }),
    ),
    ovf_name: text('name of the machine; default: made of the disk'),
    ovf_cpu_count: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 768, description: 'processors; default 1' }),
    ),
    ovf_memory_mb: Type.Optional(
      Type.Integer({
        minimum: 16,
        maximum: 16_777_216,
        description: 'MiB of memory; default 2048',
      }),
    ),
    ova_network: text('name of the network; default VM Network, and NAT for VirtualBox'),
    ova_box_version: Type.Optional(
      Type.String({
        pattern: '^[0-9]+(\\.[0-9]+){0,3}$',
        maxLength: 40,
        description: 'told in info.json of a box',
      }),
    ),
    vsphere_product_name: upstream('name of the product'),
    vsphere_product_vendor_name: upstream('its vendor'),
    vsphere_product_version: upstream('its version'),
    vsphere_virtual_system_type: upstream('virtual hardware; default vmx-13'),
    vsphere_scsi_controller_type: upstream('controller of the disk; default lsilogic'),
    vsphere_network_controller_type: upstream('network card; default E1000'),
    vsphere_os_type: upstream('the system, such as debian12_64Guest; default otherGuest64'),
    vsphere_nested_virt: flag('the guest may virtualize too (upstream); default false'),
    vsphere_cdrom: flag('an empty drive for CDs (upstream); default false'),
    fusion_scsi_controller_type: fusion('controller of the disk; default lsilogic'),
    fusion_network_controller_type: fusion('network card; default e1000'),
    fusion_nested_virt: flag('the guest may virtualize too (upstream); default false'),
    vagrant_sync_directory: text(
      'where Vagrant puts the directory of its file in the guest; default: none is',
      1024,
    ),
    vagrant_user: flag('put Vagrant’s user and its public key into boxes; default true'),
  },
  { additionalProperties: false },
)
export type OvaOptions = Static<typeof ovaOptionsSchema>

export function formOf(options: OvaOptions): OvaForm {
  const { ova_form, vsphere_ova_format, rhevm_ova_format, hyperv_ova_format } = options
  if (ova_form !== undefined) return ova_form
  if (rhevm_ova_format !== undefined) return 'vagrant-libvirt'
  if (hyperv_ova_format !== undefined) return 'vagrant-hyperv'
  if (vsphere_ova_format === 'vagrant-virtualbox') return 'vagrant-virtualbox'
  return vsphere_ova_format === 'vagrant-vmware-fusion' ? 'vagrant-vmware' : 'vmware'
}
