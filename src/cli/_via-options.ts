import { type Command, Option } from 'commander'

export interface ViaFlags {
  rootFilesystem?: string
  via: 'auto' | 'read' | 'appliance' | 'sandbox'
  trusted?: boolean
}

/** How the guest in an image is reached. */
export function addViaOptions(command: Command): void {
  command
    .option(
      '--root-filesystem <device>',
      'the root file system when there are several, such as /dev/sda2',
    )
    .addOption(
      new Option(
        '--via <way>',
        'how to reach into the image: read (no commands), appliance (safe for any image), sandbox (fast, for trusted images)',
      )
        .choices(['auto', 'read', 'appliance', 'sandbox'])
        .default('auto'),
    )
    .option(
      '--trusted',
      'you vouch for the image: this host may mount it and run its programs (needs root)',
    )
}
