import type { Static } from 'typebox'
import type { Facts } from '../../remotes/facts.ts'
import { Type } from '../../schema/type.ts'
import { defineCloudTarget } from '../cloud-target.ts'
import { cloudFit } from './_cloud-fit.ts'

const options = Type.Object(
  {
    hyperv_generation: Type.Optional(
      Type.Union([Type.Literal(1), Type.Literal(2)], {
        description: 'of the machine: 1 boots by BIOS from IDE, 2 by UEFI from SCSI; default 2',
      }),
    ),
    hyperv_format: Type.Optional(
      Type.Union([Type.Literal('vhdx'), Type.Literal('vhd'), Type.Literal('vhd-fixed')], {
        description: 'default vhdx; a VHD goes with generation 1 only, and up to 2040 GiB',
      }),
    ),
    hyperv_daemons: Type.Optional(
      Type.Boolean({
        description:
          'install the daemons by which the host sees the guest’s address and saves it; default false',
      }),
    ),
  },
  { additionalProperties: false },
)
type HypervOptions = Static<typeof options>

/**
 * A disk for Hyper-V, to be fetched as it is: no part of Hyper-V takes one over a network.
 * Source: "Should I create a generation 1 or 2 virtual machine in Hyper-V?": generation 2 opens no VHD.
 */
export const hypervTarget = defineCloudTarget<HypervOptions, unknown, unknown>({
  name: 'hyperv',
  aliases: ['HyperV'],
  summary: 'Microsoft Hyper-V: a VHDX, or a VHD for generation 1',
  options,
  format: ({ hyperv_format, hyperv_generation }) =>
    hyperv_format ?? (hyperv_generation === 1 ? 'vhd' : 'vhdx'),
  refuses: ({ hyperv_format = 'vhdx', hyperv_generation = 2 }) =>
    hyperv_generation === 2 && hyperv_format !== 'vhdx'
      ? `hyperv_format ${hyperv_format}: a machine of generation 2 opens VHDX only`
      : undefined,
  fit: fitForHyperv,
})

/** Source: Microsoft, "Best practices for running Linux on Hyper-V": the drivers, and no waiting for a cloud's metadata. */
function fitForHyperv(facts: Facts, { hyperv_daemons = false }: HypervOptions): string | undefined {
  return cloudFit(facts, {
    cloud: 'hyperv',
    drivers: ['hv_vmbus', 'hv_storvsc', 'hv_netvsc', 'hv_utils'],
    kernelArguments: ['console=tty0', 'console=ttyS0,115200n8'],
    ...(hyperv_daemons && {
      packages: {
        debian: ['hyperv-daemons'],
        redhat: ['hyperv-daemons'],
        suse: ['hyper-v'],
      },
    }),
  })
}
