# SPDX-License-Identifier: Apache-2.0
"""Calls: SIP signalling, and RTP media streams."""

import math
import struct

from scenario import client, refuse, server, shape

shape("sip", conversations=(6, 10), ports=(5060, 5060, 5060, 5062), proto="udp")
shape("rtp", conversations=(3, 4), ports=(), proto="udp", family=4)

ANSWER = """<recv request="%s" crlf="true"></recv>
<send><![CDATA[
SIP/2.0 %s
[last_Via:]
[last_From:]
[last_To:];tag=[pid]SIPpTag%02d[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
%sContent-Length: 0

]]></send>"""

REQUEST = """<send retrans="500"><![CDATA[
%(method)s sip:%(target)s@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: %(name)s <sip:%(user)s@[local_ip]:[local_port]>;tag=[pid]SIPpTag[call_number]
To: <sip:%(target)s@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: %(cseq)d %(method)s
Contact: <sip:%(user)s@[local_ip]:[local_port]>
Max-Forwards: 70
User-Agent: %(agent)s
%(extra)sContent-Length: [len]

%(body)s
]]></send>
<recv response="%(code)s"></recv>"""

METHODS = {"REGISTER": "200 OK", "OPTIONS": "200 OK", "MESSAGE": "202 Accepted", "SUBSCRIBE": "489 Bad Event", "INFO": "200 OK"}


def sipp_xml(parts):
    return '<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="lab">\n%s\n</scenario>\n' % "\n".join(parts)


@server("sip", "sipp")
def sipp(s):
    """Answers calls, or answers one other kind of request for the whole scenario."""
    s.state["method"] = "OPTIONS" if s.client_name == "sipsak" else s.rng.choice(("INVITE", "INVITE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE"))
    what = ["-sn", "uas"]
    if s.state["method"] != "INVITE":
        extra = "Expires: %d\n" % s.rng.choice((60, 600, 3600)) if s.state["method"] == "REGISTER" else ""
        what = ["-sf", s.write(s.server, "uas.xml", sipp_xml([ANSWER % (s.state["method"], METHODS[s.state["method"]], 1, extra)]))]
    s.server.spawn(["sipp"] + what + ["-i", s.server_address, "-p", s.port, "-nostdin", "-skip_rlimit", "-trace_err"], cwd="/srv/tmp")


@client("sip", "sipp")
def sipp_client(s, i):
    what = ["-sn", "uac", "-d", s.rng.randint(100, 1500)]
    if s.state["method"] != "INVITE":
        method = s.state["method"]
        parts = [REQUEST % {
            "method": method, "cseq": s.rng.randint(1, 40), "agent": "%s %d.%d" % (s.content.word(), s.rng.randrange(9), s.rng.randrange(9)),
            "target": s.content.word(), "user": s.user, "name": s.content.word().title(), "code": METHODS[method][:3],
            "body": s.content.sentence() if method == "MESSAGE" else "",
            "extra": {"MESSAGE": "Content-Type: text/plain\n", "REGISTER": "Expires: 600\n",
                      "SUBSCRIBE": "Event: %s\n" % s.content.word()}.get(method, "")}]
        what = ["-sf", s.write(s.client, "uac%d.xml" % i, sipp_xml(parts))]
    s.client.run(["sipp", "%s:%d" % (s.literal, s.port), "-i", s.client_address, "-p", s.rng.randint(5060, 40000),
                  "-s", s.content.word(), "-m", s.rng.randint(1, 4), "-r", s.rng.randint(1, 4), "-nostdin", "-skip_rlimit",
                  "-timeout", "15"] + what, cwd="/srv/tmp", timeout=25, check=False)


@client("sip", "sipsak")
def sipsak(s, i):
    command = ["sipsak", "-s", "sip:%s@%s:%d" % (s.content.word(), s.literal, s.port), "-l", s.rng.randint(5070, 40000)]
    s.client.run(command + s.rng.choice(([], ["-v"])), timeout=12, check=False)


@server("sip", "kamailio")
def kamailio(s):
    """A registrar that also takes messages and options."""
    s.write(s.server, "kamailio.cfg", """#!KAMAILIO
debug=0
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
dns=no
rev_dns=no
listen=udp:%s:%d
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
request_route {
  if (method == "REGISTER") { save("location"); exit; }
  if (method == "MESSAGE") { sl_send_reply("202", "Accepted"); exit; }
  if (method == "OPTIONS" || method == "INFO") { sl_send_reply("200", "OK"); exit; }
  if (method == "SUBSCRIBE") { sl_send_reply("489", "Bad Event"); exit; }
  if (method == "ACK") { exit; }
  sl_send_reply("404", "Not Found");
}
""" % (s.literal, s.port))
    s.state["method"] = s.rng.choice(("REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE"))
    s.server.spawn(["kamailio", "-DD", "-E", "-m", "16", "-M", "4", "-P", "/run/kamailio.pid", "-Y", "/run", "-f", "/srv/kamailio.cfg"])


def media_port(s, host_state):
    """An even port for media; the odd one above it is for reports, which get no label.

    Signalling stays below all of these, so a socket has one use.
    """
    port = 2 * s.rng.randint(15501, 30000)
    while port in s.state.setdefault(host_state, set()):
        port += 2
    s.state[host_state].add(port)
    s.extra_labels["udp", port] = "rtp"
    s.extra_labels["udp", port + 1] = None
    return port


def tone(s):
    """Half a minute of a tone whose period divides the sampling rate, so that its packets repeat."""
    period = s.rng.choice((8, 10, 16, 20, 40))
    wave = [int(9000 * math.sin(2 * math.pi * n / period)) for n in range(period)]
    samples = struct.pack("<%dh" % period, *wave) * (30 * 8000 // period)
    return (b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
            + b"data" + struct.pack("<I", len(samples)) + samples)


def baresip_home(s, host, user, address, sip_port, rtp_port):
    s.write(host, "ua/config", """sip_listen %s:%d
call_local_timeout 30
call_max_calls 2
audio_source aufile,/srv/ua/tone.wav
audio_player aubridge,out
audio_alert aubridge,alert
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports %d-%d
rtcp_mux no
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module_app account.so
module_app menu.so
module_tmp uuid.so
""" % ("[%s]" % address if s.family == 6 else address, sip_port, rtp_port, rtp_port + 1))
    s.write(host, "ua/tone.wav", tone(s))
    s.write(host, "ua/accounts", "<sip:%s@%s:%d>;regint=0;answermode=auto;audio_codecs=%s\n" % (
        user, "[%s]" % address if s.family == 6 else address, sip_port, s.rng.choice(("pcmu,pcma", "pcma,pcmu"))))
    s.write(host, "ua/contacts", "")
    s.write(host, "ua/uuid", "%08x-0000-4000-8000-%012x" % (s.rng.getrandbits(32), s.rng.getrandbits(48)))


@server("sip", "baresip")
def baresip(s):
    s.state["callee"] = s.content.word()
    s.state["far_rtp"] = media_port(s, "server media")
    baresip_home(s, s.server, s.state["callee"], s.server_address, s.port, s.state["far_rtp"])
    s.server.spawn(["baresip", "-4" if s.family == 4 else "-6", "-f", "/srv/ua"])


@client("sip", "baresip")
def baresip_client(s, i):
    if i > 3:
        return
    near = media_port(s, "client media")
    local = s.rng.randint(5070, 31000)
    s.client.run(["rm", "-rf", "/srv/ua"])
    baresip_home(s, s.client, s.user, s.client_address, local, near)
    s.client.run(["baresip", "-4" if s.family == 4 else "-6", "-f", "/srv/ua", "-t", "%d" % s.rng.randint(3, 10), "-e",
                  "/dial sip:%s@%s:%d" % (s.state["callee"], s.literal, s.port)], timeout=25)


for _pair in (("sipp", "baresip"), ("kamailio", "baresip"), ("baresip", "sipp"), ("baresip", "sipsak")):
    refuse("sip", *_pair)


def draw_codec(s):
    """GStreamer encoder and payloader, FFmpeg codec, clock rate and payload type."""
    return s.rng.choice((
        ("mulawenc ! rtppcmupay", "pcm_mulaw", 8000, 0, "PCMU"), ("mulawenc ! rtppcmupay", "pcm_mulaw", 8000, 0, "PCMU"),
        ("alawenc ! rtppcmapay", "pcm_alaw", 8000, 8, "PCMA"), ("audioconvert ! rtpL16pay", "pcm_s16be", 11025, 11, "L16")))


def receive(s, port):
    if s.server_name == "gstreamer":
        s.server.spawn(["gst-launch-1.0", "-q", "udpsrc", "address=" + s.server_address, "port=%d" % port,
                        "caps=application/x-rtp,media=audio", "!", "rtpjitterbuffer", "!", "fakesink"])
    else:
        sdp = "v=0\no=- 0 0 IN IP4 %s\ns=-\nc=IN IP4 %s\nt=0 0\nm=audio %d RTP/AVP 0\n" % (s.server_address, s.server_address, port)
        path = s.write(s.server, "in%d.sdp" % port, sdp)
        s.server.spawn(["ffmpeg", "-v", "error", "-nostdin", "-protocol_whitelist", "file,udp,rtp", "-i", path, "-f", "null", "-"])


@server("rtp", "gstreamer")
def gst_receiver(s):
    s.port = media_port(s, "server media")
    receive(s, s.port)


@server("rtp", "ffmpeg")
def ffmpeg_receiver(s):
    s.port = media_port(s, "server media")
    receive(s, s.port)


def target(s, i):
    """The receiving port and the length of one stream; the second stream of a scenario is long."""
    port = s.port if i == 0 else media_port(s, "server media")
    if i:
        receive(s, port)
        s.server.wait_listening("udp", port)
    return port, s.rng.uniform(20, 40) if i == 1 and s.rng.random() < 0.6 else s.rng.uniform(2, 7)


@client("rtp", "gstreamer")
def gst_sender(s, i):
    port, seconds = target(s, i)
    chain, _, rate, _, _ = draw_codec(s)
    spacing = s.rng.choice((10, 20, 20, 20, 30))
    samples = rate * spacing // 1000
    command = ["gst-launch-1.0", "-q", "audiotestsrc", "is-live=true", "wave=%s" % s.rng.choice(("sine", "square", "silence", "ticks")),
               "freq=%d" % s.rng.choice((200, 250, 400, 500, 800, 1000)), "samplesperbuffer=%d" % samples,
               "num-buffers=%d" % (seconds * 1000 / spacing), "!", "audio/x-raw,rate=%d,channels=1" % rate]
    for part in chain.split(" ! "):
        command += ["!", part]
    command += ["max-ptime=%d" % (spacing * 10**6), "!", "udpsink", "host=" + s.server_address, "port=%d" % port,
                "bind-address=" + s.client_address, "bind-port=%d" % media_port(s, "client media")]
    s.client.run(command, timeout=seconds + 15)


@client("rtp", "ffmpeg")
def ffmpeg_sender(s, i):
    port, seconds = target(s, i)
    _, codec, rate, kind, _ = draw_codec(s)
    near = media_port(s, "client media")
    s.client.run(["ffmpeg", "-v", "error", "-nostdin", "-re", "-f", "lavfi", "-i", "sine=frequency=%d:sample_rate=%d:duration=%.1f" % (
        s.rng.choice((200, 250, 400, 500, 800, 1000)), rate, seconds), "-c:a", codec, "-ar", str(rate), "-ac", "1",
        "-payload_type", str(kind), "-f", "rtp",
        "rtp://%s:%d?localrtpport=%d&localrtcpport=%d&pkt_size=%d" % (
            s.server_address, port, near, near + 1, s.rng.choice((92, 172, 332)))], timeout=seconds + 15)
