import { formatTable } from '../_table.ts'
import { formatSize } from '../../base/units.ts'
import type { ServiceFlags } from '../_image-service.ts'
import { formatImage } from './_describe-image.ts'
import { type DefineImageCommand, subcommand, withService } from './_subcommand.ts'

/** `ingot image show IMAGE`. */
export const defineShow: DefineImageCommand = (image, openCli) => {
  subcommand(image, 'show', 'show everything about an image')
    .argument('<image>', 'its id or name')
    .action(async (name: string, flags: ServiceFlags) => {
      await withService(image, openCli, flags, async (client, cli) => {
        const found = await client.find(name)
        cli.print(cli.json ? JSON.stringify(found) : formatImage(found))
      })
    })
}

/** `ingot image formats IMAGE`. */
export const defineFormats: DefineImageCommand = (image, openCli) => {
  subcommand(image, 'formats', 'list the formats that an image can be had in')
    .argument('<image>', 'its id or name')
    .action(async (name: string, flags: ServiceFlags) => {
      await withService(image, openCli, flags, async (client, cli) => {
        const formats = await client.formats((await client.find(name)).id)
        if (cli.json) return cli.print(JSON.stringify(formats))
        const rows = formats.map((one) => [
          one.name,
          one.size === null ? '' : formatSize(one.size),
          one.stored ? 'stored' : '',
          one.summary,
        ])
        cli.print(formatTable(['format', 'size', '', ''], rows))
      })
    })
}

/** `ingot image delete IMAGE…`. */
export const defineDelete: DefineImageCommand = (image, openCli) => {
  subcommand(image, 'delete', 'delete images, and their data')
    .argument('<image...>', 'ids or names')
    .action(async (names: string[], flags: ServiceFlags) => {
      await withService(image, openCli, flags, async (client, cli) => {
        const found = []
        for (const name of names) found.push(await client.find(name)) // all, before the first is gone
        for (const { id } of found) await client.delete(id)
        if (cli.json) cli.print(JSON.stringify(found.map(({ id }) => id)))
        else cli.say(`deleted ${found.map((one) => one.name ?? one.id).join(', ')}`)
      })
    })
}

/** `ingot image share IMAGE [PROJECT…]`. */
export const defineShare: DefineImageCommand = (image, openCli) => {
  subcommand(image, 'share', 'share an image with projects, or say with which it is shared')
    .argument('<image>', 'its id or name')
    .argument('[project...]', 'ids of projects')
    .option('--remove', 'share it with them no longer')
    .action(
      async (name: string, projects: string[], flags: ServiceFlags & { remove?: boolean }) => {
        await withService(image, openCli, flags, async (client, cli) => {
          const { id } = await client.find(name)
          for (const project of projects)
            await (flags.remove ? client.unshare(id, project) : client.share(id, project))
          const members = await client.members(id)
          if (cli.json) return cli.print(JSON.stringify(members))
          if (members.length === 0) return cli.say('shared with no other project')
          cli.print(
            formatTable(
              ['project', 'status'],
              members.map(({ member_id: project, status }) => [project, status]),
            ),
          )
        })
      },
    )
}
