// Goal: each request finds its answer or says why there is none; each end of a connection leads to the right next step.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { clientId, userOfToken } from "../../src/mqtt/login";
import { backoffMs, ended, refusedLogin } from "../../src/mqtt/reasons";
import { NoSite, site } from "../../src/mqtt/site";
import { explained, NOT_CONNECTED, RequestError, Requests } from "../../src/mqtt/requests";

describe("requests", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function desk(isConnected = true): { requests: Requests; sent: string[] } {
    const sent: string[] = [];
    const requests = new Requests((command, payload, correlation) => {
      sent.push(`${command} ${payload} ${correlation}`);
      return isConnected;
    }, 1000);
    return { requests, sent };
  }

  test("answers are told apart by their correlation data", async () => {
    const { requests, sent } = desk();
    const first = requests.ask("inbox/show", { client: "bob" });
    const second = requests.ask("overview");
    expect(sent).toEqual(['inbox/show {"client":"bob"} 1', "overview {} 2"]);
    requests.answered("2", { ok: true, result: 22 });
    requests.answered("1", { ok: true, result: 11 });
    await expect(Promise.all([first, second])).resolves.toEqual([11, 22]);
  });

  test("a refusal is an error with the broker's sentence", async () => {
    const { requests } = desk();
    const asked = requests.ask("inbox/purge");
    requests.answered("1", { ok: false, error: { code: "not-allowed", message: "no" } });
    const error = await asked.catch((error: unknown) => error);
    expect(error).toMatchObject({ code: "not-allowed" });
    expect(explained(error)).toMatch(/^No\. Requests need the role ops/);
  });

  test("silence, a lost connection and none at all", async () => {
    const { requests } = desk();
    const silent = expect(requests.ask("top")).rejects.toMatchObject({ code: "timeout" });
    await vi.advanceTimersByTimeAsync(1001);
    await silent;
    const lost = expect(requests.ask("top")).rejects.toMatchObject({ code: "lost" });
    requests.lost();
    await lost;
    await expect(desk(false).requests.ask("top")).rejects.toEqual(new RequestError("offline", NOT_CONNECTED));
  });

  test("what nobody asked for is passed over: the inbox may hold mail", () => {
    const { requests } = desk();
    for (const mail of [undefined, "hello", { ok: true }, { trace: 1 }]) requests.answered("99", mail);
  });

  test("a trace goes on after its answer, also where a milestone came first", async () => {
    const { requests } = desk();
    const seen: unknown[] = [];
    const follow = (message: unknown): void => {
      seen.push(message);
    };
    const asked = requests.ask("trace/start", {}, follow);
    requests.answered("1", { trace: 4, event: 1 });
    requests.answered("1", { ok: true, result: { trace: 4 } });
    requests.answered("1", { trace: 4, event: 2 });
    await expect(asked).resolves.toEqual({ trace: 4 });
    requests.unfollow(follow);
    requests.answered("1", { trace: 4, event: 3 });
    expect(seen).toEqual([
      { trace: 4, event: 1 },
      { trace: 4, event: 2 },
    ]);
  });
});

test("who waits, who stops, and who logs in again", () => {
  expect(refusedLogin(0x86, "expired", "a").next).toBe("login");
  expect(refusedLogin(0x86, "expired", "a").text).toContain("The broker says: expired.");
  expect(refusedLogin(0x87, undefined, "ops~dashboard-1").text).toContain("ops~dashboard-1");
  expect(refusedLogin(0x97, undefined, "a").next).toBe("retry");
  expect(ended(0x8e, undefined).next).toBe("stop");
  expect(ended(0xa0, undefined).next).toBe("login");
  expect(ended(0x8b, undefined).next).toBe("retry");
  expect(ended(0x93, undefined).text).toContain("0x93");
});

test("attempts become rarer, up to some 15 s", () => {
  expect([1, 2, 3, 10].map((attempt) => backoffMs(attempt, 0.5))).toEqual([500, 1000, 2000, 15_000]);
  expect(backoffMs(10, 0)).toBeLessThan(backoffMs(10, 1));
});

test("client IDs, and the user that a token names", () => {
  expect(clientId({ kind: "password", user: "ops", password: "" }, "x1")).toBe("ops~dashboard-x1");
  expect(clientId({ kind: "anonymous" }, "x1")).toBe("dashboard-x1");
  const body = Buffer.from(JSON.stringify({ sub: "öps" })).toString("base64url");
  expect(userOfToken(`e30.${body}.sig`)).toBe("öps");
  for (const broken of ["", "a", "a.b.c", "a.!!.c"]) expect(userOfToken(broken)).toBeUndefined();
});

test("where the broker is", () => {
  const about = { inbox_prefix: "inbox/", mqtt_path: "/mqtt", anonymous: true, version: "1" };
  expect(site(about, "http://127.0.0.1:8080/#/events")).toEqual({
    url: "ws://127.0.0.1:8080/mqtt",
    inboxPrefix: "inbox/",
    anonymous: true,
    version: "1",
  });
  expect(site(about, "https://ops.example/").url).toBe("wss://ops.example/mqtt");
  expect(site({ ...about, mqtt_path: "mqtt" }, "https://ops.example/inboxd/").url).toBe("wss://ops.example/inboxd/mqtt");
  expect(site({ ...about, mqtt_port: 9001 }, "http://[::1]:8080/").url).toBe("ws://[::1]:9001/mqtt");
  expect(() => site({ ...about, mqtt_path: null }, "http://a/")).toThrow(NoSite);
  expect(() => site(undefined, "http://a/")).toThrow(NoSite);
});
