// Where devices send to: a load balancer's view of the api processes. It asks each for /health/ready now and then and leaves those out
// that are not; without any that is ready it still picks one, as a device with one address would.
import { createClient } from './client.js';

export interface Targets {
  /** One of the addresses, http://host:port. */
  pick(random: () => number): string;
  add(url: string): void;
  remove(url: string): void;
  /** Counts a request to an address until the returned function is called. */
  begin(url: string): () => void;
  /** How many requests to an address are under way. */
  underWay(url: string): number;
  stop(): void;
}

const LOOK_EVERY_MS = 250;
const LOOK_LIMIT_MS = 2_000;

/** @param honoursReadiness false: requests go to every address, whatever it says about itself */
export function createTargets(honoursReadiness: boolean): Targets {
  const states = new Map<string, { isReady: boolean }>();
  const requests = new Map<string, number>();
  const client = createClient(LOOK_LIMIT_MS);
  const look = async (url: string, state: { isReady: boolean }) => {
    state.isReady = await client.send('GET', `${url}/health/ready`).then(
      ({ status }) => status === 200,
      () => false,
    );
  };
  const timer = honoursReadiness
    ? setInterval(() => {
        for (const [url, state] of states) void look(url, state);
      }, LOOK_EVERY_MS)
    : undefined;
  return {
    pick(random) {
      const all = [...states.keys()];
      const ready = all.filter((url) => states.get(url)?.isReady === true);
      const usable = ready.length > 0 ? ready : all;
      const url = usable[Math.floor(random() * usable.length)];
      if (url === undefined) throw new Error('there is no api to send to');
      return url;
    },
    add: (url) => void states.set(url, { isReady: true }),
    remove: (url) => void states.delete(url),
    begin(url) {
      requests.set(url, (requests.get(url) ?? 0) + 1);
      return () => void requests.set(url, (requests.get(url) ?? 1) - 1);
    },
    underWay: (url) => requests.get(url) ?? 0,
    stop() {
      clearInterval(timer);
      client.close();
    },
  };
}
