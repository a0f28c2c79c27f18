/** A TCP relay that understands where an MQTT packet ends: it cuts connections, swallows packets, and lets nobody through. */

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export const [PUBLISH, PUBACK, PINGRESP] = [3, 4, 13];
export type Way = "to broker" | "to client";

interface Loss {
  readonly way: Way;
  readonly packet: number;
  readonly only: string;
  left: number;
}

/** Stands between clients and a broker whose port changes. */
export class Relay {
  target = 0;
  port = 0;
  isOpen = true;
  swallowed = 0;
  private losses: Loss[] = [];
  private readonly sockets = new Set<Socket>();
  private server: Server | undefined;

  /** Listens on a free port. With `isRaw`, it looks at no packets: for WebSocket. */
  start(isRaw = false): Promise<void> {
    this.server = createServer((client) => this.accept(client, isRaw));
    return new Promise((resolve) =>
      this.server?.listen(0, "127.0.0.1", () => {
        this.port = (this.server?.address() as AddressInfo).port;
        resolve();
      }),
    );
  }

  end(): void {
    this.server?.close();
    this.cut();
  }

  /** Every connection ends now, as if a cable was pulled. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  /** Cuts everything, and lets nobody in until `isOpen` is set. */
  shut(): void {
    this.isOpen = false;
    this.cut();
  }

  /** The next `times` packets of that type, in that direction, are lost; those of one client, if it is named. */
  swallow(way: Way, packet: number, times = 1, only = ""): void {
    this.losses = [...this.losses.filter((loss) => loss.way !== way || loss.packet !== packet), { way, packet, only, left: times }];
  }

  private accept(client: Socket, isRaw: boolean): void {
    if (!this.isOpen) return void client.resetAndDestroy();
    const broker = connect(this.target, "127.0.0.1");
    for (const [socket, other] of [
      [client, broker],
      [broker, client],
    ] as const) {
      this.sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
    if (isRaw) return void client.pipe(broker).pipe(client);
    let opening = "";
    client.on(
      "data",
      packets((packet) => {
        opening ||= packet.toString("latin1");
        if (!this.isLost("to broker", packet, opening)) broker.write(packet);
      }),
    );
    broker.on(
      "data",
      packets((packet) => {
        if (!this.isLost("to client", packet, opening)) client.write(packet);
      }),
    );
  }

  private isLost(way: Way, packet: Buffer, opening: string): boolean {
    // The client ID is a word of CONNECT.
    const loss = this.losses.find(
      (it) => it.way === way && it.packet === (packet[0] ?? 0) >> 4 && it.left > 0 && opening.includes(it.only),
    );
    if (!loss) return false;
    loss.left -= 1;
    this.swallowed += 1;
    return true;
  }
}

/** Cuts a stream into packets. */
function packets(handle: (packet: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (let size = sizeOf(rest); size !== undefined && size <= rest.length; size = sizeOf(rest)) {
      handle(rest.subarray(0, size));
      rest = rest.subarray(size);
    }
  };
}

function sizeOf(bytes: Buffer): number | undefined {
  let length = 0;
  for (let at = 1; at < Math.min(bytes.length, 5); at += 1) {
    const byte = bytes[at] ?? 0;
    length += (byte & 0x7f) * 128 ** (at - 1);
    if (byte < 0x80) return at + 1 + length;
  }
  return undefined;
}
